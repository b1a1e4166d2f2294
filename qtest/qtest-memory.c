/*
 * QEMU's commands: memory, I/O ports, clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qtest-internal.h"

#include <string.h>

#include "util/clock.h"

/* --- memory --- */

static bool memory_range(Qtest *q, char **arg, uint64_t *ret_addr, size_t *ret_size)
{
    uint64_t size;

    if (!qtest_number(q, arg[0], UINT64_MAX, ret_addr) ||
        !qtest_number(q, arg[1], QTEST_MAX_BYTES, &size)) {
        return false;
    }
    *ret_size = (size_t)size;
    return true;
}

static void read_value(Qtest *q, char **arg, unsigned size)
{
    uint64_t addr, value = 0;

    if (qtest_number(q, arg[0], UINT64_MAX, &addr)) {
        address_space_read(q->memory, addr, &value, size);
        qtest_reply(q, "OK 0x%016" G_GINT64_MODIFIER "x", GUINT64_FROM_LE(value));
    }
}

static void write_value(Qtest *q, char **arg, unsigned size)
{
    uint64_t addr, value;

    if (!qtest_number(q, arg[0], UINT64_MAX, &addr) ||
        !qtest_number(q, arg[1], UINT64_MAX, &value)) {
        return;
    }
    value = GUINT64_TO_LE(value); /* too large: truncated, as in QEMU */
    address_space_write(q->memory, addr, &value, size);
    qtest_reply(q, "OK");
}

static void run_readb(Qtest *q, char **arg, unsigned n_args)
{
    read_value(q, arg, 1);
}

static void run_readw(Qtest *q, char **arg, unsigned n_args)
{
    read_value(q, arg, 2);
}

static void run_readl(Qtest *q, char **arg, unsigned n_args)
{
    read_value(q, arg, 4);
}

static void run_readq(Qtest *q, char **arg, unsigned n_args)
{
    read_value(q, arg, 8);
}

static void run_writeb(Qtest *q, char **arg, unsigned n_args)
{
    write_value(q, arg, 1);
}

static void run_writew(Qtest *q, char **arg, unsigned n_args)
{
    write_value(q, arg, 2);
}

static void run_writel(Qtest *q, char **arg, unsigned n_args)
{
    write_value(q, arg, 4);
}

static void run_writeq(Qtest *q, char **arg, unsigned n_args)
{
    write_value(q, arg, 8);
}

static void run_read(Qtest *q, char **arg, unsigned n_args)
{
    g_autofree uint8_t *buf = NULL;
    g_autofree char *hex = NULL;
    uint64_t addr;
    size_t size;

    if (!memory_range(q, arg, &addr, &size)) {
        return;
    }
    if (size == 0) {
        qtest_reply(q, "ERR invalid argument size");
        return;
    }
    buf = g_malloc(size);
    hex = g_malloc(size * 2 + 1);
    address_space_read(q->memory, addr, buf, size);
    for (size_t i = 0; i < size; i++) {
        hex[i * 2] = "0123456789abcdef"[buf[i] >> 4];
        hex[i * 2 + 1] = "0123456789abcdef"[buf[i] & 15];
    }
    hex[size * 2] = '\0';
    qtest_reply(q, "OK 0x%s", hex);
}

static void run_write(Qtest *q, char **arg, unsigned n_args)
{
    g_autofree uint8_t *buf = NULL;
    uint64_t addr;
    size_t size, digits;

    if (!memory_range(q, arg, &addr, &size)) {
        return;
    }
    if (size == 0 || strlen(arg[2]) < 3 || !g_str_has_prefix(arg[2], "0x")) {
        qtest_reply(q, "ERR invalid argument size");
        return;
    }
    digits = strlen(arg[2]) - 2;
    buf = g_malloc0(size); /* what is not given is 0 */
    for (size_t i = 0; i < MIN(size, digits / 2); i++) {
        int high = g_ascii_xdigit_value(arg[2][2 + i * 2]);
        int low = g_ascii_xdigit_value(arg[2][3 + i * 2]);

        if (high < 0 || low < 0) {
            qtest_reply(q, "ERR invalid hexadecimal digit");
            return;
        }
        buf[i] = (uint8_t)(high << 4 | low);
    }
    address_space_write(q->memory, addr, buf, size);
    qtest_reply(q, "OK");
}

static void run_b64read(Qtest *q, char **arg, unsigned n_args)
{
    g_autofree uint8_t *buf = NULL;
    g_autofree char *text = NULL;
    uint64_t addr;
    size_t size;

    if (!memory_range(q, arg, &addr, &size)) {
        return;
    }
    if (size == 0) {
        qtest_reply(q, "ERR invalid argument size");
        return;
    }
    buf = g_malloc(size);
    address_space_read(q->memory, addr, buf, size);
    text = g_base64_encode(buf, size);
    qtest_reply(q, "OK %s", text);
}

static void run_b64write(Qtest *q, char **arg, unsigned n_args)
{
    uint64_t addr;
    size_t size;
    gsize len = 0;

    if (!memory_range(q, arg, &addr, &size)) {
        return;
    }
    if (size == 0 || strlen(arg[2]) < 2) { /* of less, GLib decodes nothing, @len neither */
        qtest_reply(q, "ERR invalid argument size");
        return;
    }
    g_base64_decode_inplace(arg[2], &len);
    address_space_write(q->memory, addr, arg[2], MIN(size, len));
    qtest_reply(q, "OK");
}

static void run_memset(Qtest *q, char **arg, unsigned n_args)
{
    g_autofree uint8_t *buf = NULL;
    uint64_t addr, value;
    size_t size;

    if (!memory_range(q, arg, &addr, &size) || !qtest_number(q, arg[2], UINT64_MAX, &value)) {
        return;
    }
    if (size > 0) {
        buf = g_malloc(size);
        memset(buf, (int)(value & 0xff), size);
        address_space_write(q->memory, addr, buf, size);
    }
    qtest_reply(q, "OK");
}

static void run_endianness(Qtest *q, char **arg, unsigned n_args)
{
    qtest_reply(q, "OK little"); /* all Xen guests are */
}

/* --- I/O ports --- */

static bool port_of(Qtest *q, const char *text, uint64_t *ret)
{
    if (!q->ports) {
        qtest_reply(q, "FAIL No I/O ports");
        return false;
    }
    return qtest_number(q, text, UINT16_MAX, ret);
}

static void read_port(Qtest *q, char **arg, unsigned size)
{
    uint64_t port, value = 0;

    if (port_of(q, arg[0], &port)) {
        address_space_read(q->ports, port, &value, size);
        qtest_reply(q, "OK 0x%04x", (unsigned)GUINT64_FROM_LE(value));
    }
}

static void write_port(Qtest *q, char **arg, unsigned size)
{
    uint64_t port, value;

    if (port_of(q, arg[0], &port) && qtest_number(q, arg[1], UINT64_MAX, &value)) {
        value = GUINT64_TO_LE(value);
        address_space_write(q->ports, port, &value, size);
        qtest_reply(q, "OK");
    }
}

static void run_inb(Qtest *q, char **arg, unsigned n_args)
{
    read_port(q, arg, 1);
}

static void run_inw(Qtest *q, char **arg, unsigned n_args)
{
    read_port(q, arg, 2);
}

static void run_inl(Qtest *q, char **arg, unsigned n_args)
{
    read_port(q, arg, 4);
}

static void run_outb(Qtest *q, char **arg, unsigned n_args)
{
    write_port(q, arg, 1);
}

static void run_outw(Qtest *q, char **arg, unsigned n_args)
{
    write_port(q, arg, 2);
}

static void run_outl(Qtest *q, char **arg, unsigned n_args)
{
    write_port(q, arg, 4);
}

/* --- clock --- */

static void clock_moved(Qtest *q, uint64_t target)
{
    uint64_t now;

    clock_set_virtual_ns(target);
    now = clock_virtual_ns();
    qtest_reply(q, "%s %" G_GUINT64_FORMAT, now == target ? "OK" : "FAIL", now);
}

static bool clock_ours(Qtest *q, const char *name)
{
    if (!clock_is_virtual()) {
        qtest_reply(q, "FAIL Unknown command '%s'", name); /* as QEMU without -accel qtest */
    }
    return clock_is_virtual();
}

static void run_clock_step(Qtest *q, char **arg, unsigned n_args)
{
    uint64_t ns, now;

    if (!clock_ours(q, "clock_step")) {
        return;
    }
    now = clock_virtual_ns();
    if (n_args == 1) {
        if (qtest_number(q, arg[0], INT64_MAX, &ns)) {
            clock_moved(q, now + ns);
        }
    } else if (clock_next_deadline(&ns)) {
        clock_moved(q, MAX(ns, now));
    } else {
        qtest_reply(q, "FAIL cannot advance clock to the next deadline because there is no "
                       "pending deadline");
    }
}

static void run_clock_set(Qtest *q, char **arg, unsigned n_args)
{
    uint64_t ns;

    if (clock_ours(q, "clock_set") && qtest_number(q, arg[0], INT64_MAX, &ns)) {
        clock_moved(q, ns);
    }
}

/* --- what there is not --- */

static void run_no_module(Qtest *q, char **arg, unsigned n_args)
{
    qtest_reply(q, "FAIL");
}

const QtestCommand qtest_memory_commands[] = {
    { "readb", 1, 1, .run = run_readb },
    { "readw", 1, 1, .run = run_readw },
    { "readl", 1, 1, .run = run_readl },
    { "readq", 1, 1, .run = run_readq },
    { "writeb", 2, 2, .run = run_writeb },
    { "writew", 2, 2, .run = run_writew },
    { "writel", 2, 2, .run = run_writel },
    { "writeq", 2, 2, .run = run_writeq },
    { "read", 2, 2, .run = run_read },
    { "write", 3, 3, .run = run_write },
    { "b64read", 2, 2, .run = run_b64read },
    { "b64write", 3, 3, .run = run_b64write },
    { "memset", 3, 3, .run = run_memset },
    { "endianness", 0, 0, .run = run_endianness },
    { "clock_step", 0, 1, .run = run_clock_step },
    { "clock_set", 1, 1, .run = run_clock_set },
    { "inb", 1, 1, .run = run_inb },
    { "inw", 1, 1, .run = run_inw },
    { "inl", 1, 1, .run = run_inl },
    { "outb", 2, 2, .run = run_outb },
    { "outw", 2, 2, .run = run_outw },
    { "outl", 2, 2, .run = run_outl },
    { "module_load", 2, 2, .run = run_no_module },
    { NULL },
};

/*
 * The qtest protocol itself, as QEMU's libqtest speaks it and as nobody should. Needs no
 * root: there is a guest, but no device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qtest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FW_CFG_ARGS                                                       \
    "-machine pc -m 64 -smp 2,maxcpus=4 -nographic -boot menu=on,splash-time=12 " \
    "-uuid 4600cb32-38ec-4b2f-8acb-81c6ea54f2d8"
#define RAM 0x100000 /* behind the grant table, which is at 0 */

typedef struct Fixture {
    QTest *qt;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->qt = qtest_start(NULL, 0, data ? data : "");
}

static void teardown(Fixture *f, gconstpointer data)
{
    if (f->qt) {
        qtest_stop(f->qt);
    }
}

static void expect(Fixture *f, const char *line, const char *answer)
{
    g_autofree char *got = qtest_line(f->qt, "%s", line);

    g_assert_cmpstr(got, ==, answer);
}

static void expect_prefix(Fixture *f, const char *line, const char *prefix)
{
    g_autofree char *got = qtest_line(f->qt, "%s", line);

    if (!g_str_has_prefix(got, prefix)) {
        g_error("'%s': '%s', not '%s...'", line, got, prefix);
    }
}

static void test_read_write_values(Fixture *f, gconstpointer data)
{
    expect(f, "writeq 0x100000 0x1122334455667788", "OK");
    expect(f, "readq 1048576", "OK 0x1122334455667788");
    expect(f, "readl 0x100000", "OK 0x0000000055667788");
    expect(f, "readw 04000002", "OK 0x0000000000005566");
    expect(f, "readb 0x100007", "OK 0x0000000000000011");
    expect(f, "writeb 0x100000 0xffaa", "OK"); /* truncated, as in QEMU */
    expect(f, "writew 0x100002 0xbbcc", "OK");
    expect(f, "writel 0x100004 0xddeeff00", "OK");
    expect(f, "readq 0x100000", "OK 0xddeeff00bbcc77aa");
}

static void test_read_write_bytes(Fixture *f, gconstpointer data)
{
    expect(f, "write 0x100000 4 0x01020304", "OK");
    expect(f, "read 0x100000 4", "OK 0x01020304");
    expect(f, "write 0x100000 4 0x0a", "OK"); /* the rest is 0 */
    expect(f, "read 0x100000 4", "OK 0x0a000000");
    expect(f, "write 0x100000 1 0x0102", "OK"); /* no more than was said */
    expect(f, "read 0x100000 2", "OK 0x0100");
    expect(f, "write 0x100000 1 0x", "ERR invalid argument size");
    expect_prefix(f, "write 0x100000 1 0xzz", "ERR");
    expect(f, "b64write 0x100000 3 AQID", "OK");
    expect(f, "b64read 0x100000 3", "OK AQID");
    expect(f, "b64write 0x100000 0x100000 A", "ERR invalid argument size"); /* no whole byte */
    expect(f, "b64read 0x100000 3", "OK AQID");
    expect(f, "memset 0x100000 2 0x55", "OK");
    expect(f, "memset 0x100000 0 0xff", "OK");
    expect(f, "read 0x100000 3", "OK 0x555503");
    expect_prefix(f, "read 0x100000 0", "ERR");
}

/* Where nothing is, reads see zeros, and writes are lost. */
static void test_outside_of_ram(Fixture *f, gconstpointer data)
{
    expect(f, "writeq 0xffffffffffffff00 1", "OK");
    expect(f, "readq 0xffffffffffffff00", "OK 0x0000000000000000");
    expect(f, "writeq 0x0ffffffc 0xffffffffffffffff", "OK"); /* half of it at RAM's end */
    expect(f, "readq 0x0ffffffc", "OK 0x00000000ffffffff");
    expect(f, "read 0xfffffffffffffffe 4", "OK 0x00000000");
}

/* A machine of QEMU's, without a guest of Xen. */
static void test_pc(Fixture *f, gconstpointer data)
{
    expect(f, "writel 0 0x11223344", "OK");
    expect(f, "readl 0", "OK 0x0000000011223344");
    expect(f, "writeq 0x7fffffc 0xffffffffffffffff", "OK"); /* of 128 MiB */
    expect(f, "readq 0x7fffffc", "OK 0x00000000ffffffff");
    expect(f, "inb 0x80", "OK 0x00ff");
    expect(f, "inw 0x80", "OK 0xffff");
    expect(f, "inl 0xffff", "OK 0xffffffff");
    expect(f, "outl 0x80 1", "OK");
    expect_prefix(f, "inb 0x10000", "FAIL");
}

static void test_pc_pci(Fixture *f, gconstpointer data)
{
    expect(f, "outl 0xcf8 0x80000000", "OK");
    expect(f, "inl 0xcfc", "OK 0x12378086");
    expect(f, "inb 0xcfd", "OK 0x0080");
    expect(f, "outl 0xcf8 0x80002000", "OK");
    expect(f, "inw 0xcfc", "OK 0xffff");
}

static void test_pc_hole(Fixture *f, gconstpointer data)
{
    expect(f, "writeb 0xbfffffff 1", "OK");
    expect(f, "readw 0xbfffffff", "OK 0x0000000000000001");
    expect(f, "writel 0xc0000000 1", "OK");
    expect(f, "readl 0xc0000000", "OK 0x0000000000000000");
    expect(f, "writel 0x100000000 2", "OK");
    expect(f, "readl 0x100000000", "OK 0x0000000000000002");
}

static void test_virt(Fixture *f, gconstpointer data)
{
    expect(f, "writel 0x40000000 1", "OK");
    expect(f, "readl 0x40000000", "OK 0x0000000000000001");
    expect(f, "readq 0x3ffffffc", "OK 0x0000000100000000");
    expect(f, "readl 0x44000000", "OK 0x0000000000000000");
}

/* As libqos finds out how much memory there is, and QEMU's fw_cfg-test all the rest. */
static void test_fw_cfg(Fixture *f, gconstpointer data)
{
    static const struct {
        unsigned key;
        const char *bytes;
    } items[] = {
        { 0x00, "51 45 4d 55 00" },
        { 0x02, "46 00 cb 32 38 ec 4b 2f 8a cb 81 c6 ea 54 f2 d8 00" },
        { 0x03, "00 00 00 04 00 00 00 00" }, /* 64 MiB */
        { 0x04, "01 00" },
        { 0x05, "02 00 00" },
        { 0x0d, "00 00 00 00 00 00 00 00 00" },
        { 0x0e, "01 00" },
        { 0x0f, "04 00 00" },
        { 0x19, "00 00 00 03 00 00 00 04 00 20" },
        { 0x20, "ff ff ff ff 00" },
        { 0x21, "0c 00 00" },
        { 0x22, "00 00 00 00 00 00 00 00 00 00 00 04 00 00 00 00 01 00 00 00 00" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        g_auto(GStrv) bytes = g_strsplit(items[i].bytes, " ", -1);
        g_autofree char *line = g_strdup_printf("outw 0x510 %u", items[i].key);

        expect(f, line, "OK");
        for (unsigned n = 0; bytes[n]; n++) {
            g_autofree char *answer = g_strdup_printf("OK 0x00%s", bytes[n]);

            expect(f, "inb 0x511", answer);
        }
    }
}

static void test_fw_cfg_dma(Fixture *f, gconstpointer data)
{
    expect(f, "write 0x1000 16 0x0005000a000000030000000000002000", "OK"); /* CPUs, and one byte */
    expect(f, "outl 0x514 0", "OK");
    expect(f, "outl 0x518 0x00100000", "OK");
    expect(f, "read 0x1000 4", "OK 0x00000000");
    expect(f, "read 0x2000 3", "OK 0x020000");
}

static void test_fw_cfg_virt(Fixture *f, gconstpointer data)
{
    expect(f, "writew 0x09020008 0x0000", "OK");
    expect(f, "read 0x09020000 4", "OK 0x51454d55");
    expect(f, "writew 0x09020008 0x0500", "OK");
    expect(f, "readb 0x09020000", "OK 0x0000000000000001");
    expect(f, "readq 0x09020010", "OK 0x47464320554d4551");
    expect(f, "writew 0x09020008 0x0300", "OK"); /* a device tree tells it */
    expect(f, "readq 0x09020000", "OK 0x0000000000000000");
}

static void test_intercept(Fixture *f, gconstpointer data)
{
    expect(f, "irq_intercept_in ioapic", "FAIL Unknown device");
    expect(f, "irq_intercept_in gic", "OK");
    expect(f, "irq_intercept_in /machine/unattached/device[1]", "OK"); /* the same */
    expect(f, "irq_intercept_in", "FAIL 'irq_intercept_in' takes 1 to 1 arguments");
    expect(f, "irq_intercept_out gic", "FAIL Unknown device");
    expect(f, "set_irq_in gic unnamed-gpio-in 0 1", "FAIL Unknown device");
}

static void test_clock(Fixture *f, gconstpointer data)
{
    expect(f, "clock_step 1000", "OK 1000");
    expect(f, "clock_set 5000", "OK 5000");
    expect(f, "clock_set 4000", "FAIL 5000");
    expect(f, "clock_step",
           "FAIL cannot advance clock to the next deadline because there is no pending deadline");
    expect_prefix(f, "clock_step -1", "FAIL");
    expect(f, "clock_step 0x10", "OK 5016");
}

static void test_no_devices(Fixture *f, gconstpointer data)
{
    expect_prefix(f, "inb 0x80", "FAIL");
    expect_prefix(f, "outl 0xcf8 0", "FAIL");
    expect(f, "irq_intercept_in ioapic", "FAIL Unknown device");
    expect(f, "irq_intercept_out ioapic", "FAIL Unknown device");
    expect(f, "set_irq_in dev unnamed-gpio-in 0 1", "FAIL Unknown device");
    expect_prefix(f, "module_load net- x", "FAIL");
}

/* QEMU aborts on most of these; we say what is wrong. */
static void test_malformed(Fixture *f, gconstpointer data)
{
    static const char *const lines[] = {
        "", " ", "  readb 0", "readb", "readb ", "readb x", "readb 0 0", "readb 0x", "readb -1",
        "readb 0x1ffffffffffffffff", "writeb 0", "write 0 1", "read 0 0x7fffffff", "b64write 0 1",
        "memset 0 99999999999 0", "endianness big", "clock_set", "READB 0", "readb\t0", "csr x",
        "rtas x", "xen_evtchn_notify", "xen_evtchn_notify 99999", "xen_store_read 1",
        "xen_store_read 77 /", "xen_store_read x /", "xen_fault gnttab-map 1", "xen_fault a 1 1",
        "xen_evtchn_alloc 70000", "xen_store_write 1 data/a half\\",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *got = qtest_line(f->qt, "%s", lines[i]);

        if (!g_str_has_prefix(got, "FAIL ") && !g_str_has_prefix(got, "ERR ")) {
            g_error("'%s': %s", lines[i], got);
        }
    }
    expect(f, "frobnicate 1 2", "FAIL Unknown command 'frobnicate'");
    expect(f, "endianness", "OK little");
}

/* The largest write, of which all but the end of the line comes first. */
static void test_longest_write(Fixture *f, gconstpointer data)
{
    g_autoptr(GString) line = g_string_new("write 0x0000000000100000 0x0000000000400000 0x");
    g_autofree char *bytes = g_strnfill(2 * (4 << 20), 'a');
    g_autofree char *answer = NULL;

    g_string_append(line, bytes);
    qtest_send_raw(f->qt, line->str, line->len);
    g_usleep(300000);
    qtest_send_raw(f->qt, "\n", 1);
    answer = qtest_read_line(f->qt);
    g_assert_cmpstr(answer, ==, "OK");
    expect(f, "readl 0x4ffffc", "OK 0x00000000aaaaaaaa");
    expect_prefix(f, "write 0x100000 0x400001 0xaa", "FAIL");
}

static void test_long_line(Fixture *f, gconstpointer data)
{
    g_autofree char *bytes = g_strnfill(9 << 20, 'a');
    g_autofree char *answer = NULL;

    qtest_send_raw(f->qt, bytes, strlen(bytes));
    qtest_send_raw(f->qt, "\n", 1);
    answer = qtest_read_line(f->qt);
    g_assert_true(g_str_has_prefix(answer, "FAIL line is longer"));
    expect(f, "endianness", "OK little");
}

/* Many at once, and a line in pieces. */
static void test_pipelined(Fixture *f, gconstpointer data)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autofree char *last = NULL;

    for (unsigned i = 0; i < 3000; i++) {
        g_string_append_printf(lines, "writel 0x%x %u\n", RAM + i * 4, i);
    }
    g_string_append(lines, "readl 0x100028\nendia");
    qtest_send_raw(f->qt, lines->str, lines->len);
    for (unsigned i = 0; i < 3000; i++) {
        g_autofree char *answer = qtest_read_line(f->qt);

        g_assert_cmpstr(answer, ==, "OK");
    }
    expect(f, "nness", "OK 0x000000000000000a");
    last = qtest_read_line(f->qt);
    g_assert_cmpstr(last, ==, "OK little");
}

/* More answers than a socket holds, read late. */
static void test_slow_reader(Fixture *f, gconstpointer data)
{
    g_autofree char *first G_GNUC_UNUSED = NULL;

    for (unsigned i = 0; i < 20; i++) {
        qtest_send_raw(f->qt, "read 0x100000 200000\n", 21);
    }
    g_usleep(20000);
    for (unsigned i = 0; i < 20; i++) {
        g_autofree char *answer = qtest_read_line(f->qt);

        g_assert_cmpuint(strlen(answer), ==, 5 + 400000);
    }
    expect(f, "endianness", "OK little");
}

static void test_hang_up(Fixture *f, gconstpointer data)
{
    qtest_hang_up(f->qt);
    json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'query-status'}"));
}

/* What xen_ram names can be mapped, and is the memory that the commands see. */
static void test_memory_can_be_mapped(Fixture *f, gconstpointer data)
{
    g_autofree char *where = qtest_ok(f->qt, "xen_ram");
    uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    unsigned long size;
    char path[64];
    uint8_t *ram;
    int fd;

    g_assert_cmpint(sscanf(where, "%lu %63s", &size, path), ==, 2);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(ram != MAP_FAILED);
    close(fd);
    qtest_memwrite(f->qt, RAM, bytes, sizeof(bytes));
    g_assert_cmpmem(ram + RAM, sizeof(bytes), bytes, sizeof(bytes));
    ram[RAM] = 0xff;
    g_assert_cmpuint(qtest_readl(f->qt, RAM), ==, 0x040302ff);
    ram[size - 1] = 0x77;
    qtest_memread(f->qt, size - 1, bytes, 1);
    g_assert_cmpuint(bytes[0], ==, 0x77);
    munmap(ram, size);
}

/* Ports that nobody binds to. */
static void test_event_channels(Fixture *f, gconstpointer data)
{
    expect(f, "xen_domid", "OK 1");
    expect(f, "xen_evtchn_alloc 0", "OK 1");
    expect(f, "xen_evtchn_state 1", "OK unbound");
    expect(f, "xen_evtchn_notify 1", "OK");
    expect(f, "xen_evtchn_pending 1", "OK 0");
    expect(f, "xen_evtchn_close 1", "OK");
    expect_prefix(f, "xen_evtchn_close 1", "FAIL");
    expect(f, "xen_evtchn_state 1", "OK closed");
}

static void test_store(Fixture *f, gconstpointer data)
{
    expect(f, "xen_store_write 1 /local/domain/1/data/a some words ", "OK");
    expect(f, "xen_store_read 0 /local/domain/1/data/a", "OK some words ");
    expect(f, "xen_store_write 0 /local/domain/1/data/b x\\ny", "OK");
    expect(f, "xen_store_read 1 /local/domain/1/data/b", "OK x\\ny");
    expect(f, "xen_store_list 1 /local/domain/1/data", "OK a b");
    expect(f, "xen_store_rm 1 /local/domain/1/data/a", "OK");
    expect_prefix(f, "xen_store_read 1 /local/domain/1/data/a", "FAIL No such file");
    expect_prefix(f, "xen_store_write 1 /tool/x y", "FAIL Permission denied");
}

static void test_guest_dies_and_another_comes(Fixture *f, gconstpointer data)
{
    qtest_writel(f->qt, RAM, 7);
    expect(f, "xen_guest_kill", "OK");
    expect(f, "readl 0x100000", "OK 0x0000000000000000");
    expect_prefix(f, "xen_domid", "FAIL");
    expect_prefix(f, "xen_store_read 1 /local/domain/1/name", "FAIL");
    expect_prefix(f, "xen_evtchn_alloc 0", "FAIL");
    expect_prefix(f, "xen_guest_kill", "FAIL");
    expect(f, "xen_guest_attach 9", "OK 9");
    expect(f, "xen_store_read 9 /local/domain/9/domid", "OK 9");
    expect(f, "readl 0x100000", "OK 0x0000000000000000");
}

/* -machine none: no Xen, so no memory, but the protocol is there. */
static void test_without_xen(Fixture *f, gconstpointer data)
{
    expect(f, "readl 0x100000", "OK 0x0000000000000000");
    expect(f, "writel 0x100000 1", "OK");
    expect_prefix(f, "xen_domid", "FAIL");
    expect_prefix(f, "xen_guest_attach", "FAIL");
    expect_prefix(f, "xen_fault gnttab-map 1 -1", "FAIL");
    expect_prefix(f, "xen_leaks", "OK grants=0 ports=0 ");
}

int main(int argc, char **argv)
{
#define ADD(name, args, fn) g_test_add("/qtest/" name, Fixture, args, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("read-write-values", NULL, test_read_write_values);
    ADD("read-write-bytes", NULL, test_read_write_bytes);
    ADD("outside-of-ram", NULL, test_outside_of_ram);
    ADD("clock", NULL, test_clock);
    ADD("no-devices", NULL, test_no_devices);
    ADD("malformed", NULL, test_malformed);
    ADD("longest-write", NULL, test_longest_write);
    ADD("long-line", NULL, test_long_line);
    ADD("pipelined", NULL, test_pipelined);
    ADD("slow-reader", NULL, test_slow_reader);
    ADD("hang-up", NULL, test_hang_up);
    ADD("memory-can-be-mapped", NULL, test_memory_can_be_mapped);
    ADD("event-channels", NULL, test_event_channels);
    ADD("store", NULL, test_store);
    ADD("guest-dies-and-another-comes", NULL, test_guest_dies_and_another_comes);
    ADD("pc", "-machine pc", test_pc);
    ADD("pc-pci", "-machine pc", test_pc_pci);
    ADD("pc-hole", "-machine pc-i440fx-7.2 -m 4G", test_pc_hole);
    ADD("virt", "-machine virt -m 64", test_virt);
    ADD("fw-cfg", FW_CFG_ARGS, test_fw_cfg);
    ADD("fw-cfg-dma", FW_CFG_ARGS, test_fw_cfg_dma);
    ADD("fw-cfg-virt", "-machine virt", test_fw_cfg_virt);
    ADD("irq-intercept", "-machine virt", test_intercept);
    ADD("without-xen", "-machine none", test_without_xen);
    return g_test_run();
}

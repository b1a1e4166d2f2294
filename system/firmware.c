/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "firmware.h"

#include <string.h>

#include "hw/core/fw-cfg.h"
#include "system.h"

#define VIRT_FW_CFG 0x09020000 /* where QEMU's virt has it */
#define E820_RAM 1

typedef struct SmpConfig {
    uint64_t cpus, sockets, dies, clusters, cores, threads, maxcpus;
} SmpConfig;

static const OptMember smp_members[] = {
    { "cpus", OPT_UINT64, offsetof(SmpConfig, cpus) },
    { "sockets", OPT_UINT64, offsetof(SmpConfig, sockets) },
    { "dies", OPT_UINT64, offsetof(SmpConfig, dies) },
    { "clusters", OPT_UINT64, offsetof(SmpConfig, clusters) },
    { "cores", OPT_UINT64, offsetof(SmpConfig, cores) },
    { "threads", OPT_UINT64, offsetof(SmpConfig, threads) },
    { "maxcpus", OPT_UINT64, offsetof(SmpConfig, maxcpus) },
    { 0 },
};
const OptTable smp_options = { "smp", sizeof(SmpConfig), smp_members };

char *smp_help(const char *arg, GError **error)
{
    return system_options_help(&smp_options, arg, NULL);
}

/* How many there would be: as many as said, or as the places for them. There are none in truth. */
static uint16_t smp_number(const SmpConfig *c)
{
    const uint64_t places[] = { c->sockets, c->dies, c->clusters, c->cores, c->threads };
    uint64_t n = 1;

    for (size_t i = 0; i < G_N_ELEMENTS(places) && n < UINT16_MAX; i++) {
        n *= CLAMP(places[i], 1, UINT16_MAX);
    }
    n = c->cpus > 0 ? c->cpus : MAX(n, c->maxcpus);
    return (uint16_t)MIN(n, UINT16_MAX);
}

bool firmware_set_smp(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "cpus", error);
    SmpConfig *config = args ? opt_config_new(&smp_options, args, OPT_PARAMETERS, error) : NULL;

    if (!config) {
        return false;
    }
    s->firmware.cpus = smp_number(config);
    s->firmware.max_cpus = (uint16_t)MIN(config->maxcpus, UINT16_MAX);
    opt_config_free(&smp_options, config);
    return true;
}

bool firmware_set_uuid(System *s, const char *arg, GError **error)
{
    uint8_t *byte = s->firmware.uuid;

    if (!g_uuid_string_is_valid(arg)) {
        return system_set_error(error, "failed to parse UUID string: wrong format");
    }
    for (const char *at = arg; *at != '\0'; at += *at == '-' ? 1 : 2) {
        if (*at != '-') {
            *byte++ = (uint8_t)(g_ascii_xdigit_value(at[0]) << 4 | g_ascii_xdigit_value(at[1]));
        }
    }
    return true;
}

typedef struct BootConfig {
    bool menu;
    int64_t splash_time;
    bool has_splash_time;
    int64_t reboot_timeout;
    bool has_reboot_timeout;
} BootConfig;

static const OptMember boot_members[] = {
    { "order", OPT_STR, .ignored = true },
    { "once", OPT_STR, .ignored = true },
    { "menu", OPT_BOOL, offsetof(BootConfig, menu), .help = "show a menu" },
    { "splash", OPT_STR, .ignored = true },
    { "splash-time", OPT_INT64, offsetof(BootConfig, splash_time),
      offsetof(BootConfig, has_splash_time), .help = "for so many ms" },
    { "reboot-timeout", OPT_INT64, offsetof(BootConfig, reboot_timeout),
      offsetof(BootConfig, has_reboot_timeout),
      .help = "ms until another try, where nothing boots; -1: none" },
    { "strict", OPT_BOOL, .ignored = true },
    { 0 },
};
const OptTable boot_options = { "boot", sizeof(BootConfig), boot_members };

char *boot_help(const char *arg, GError **error)
{
    return system_options_help(&boot_options, arg, NULL);
}

static bool boot_take(Firmware *f, const BootConfig *c, GError **error)
{
    if (c->splash_time < 0 || c->splash_time > UINT16_MAX) {
        return system_set_error(error, "splash-time is invalid,"
                                "it should be a value between 0 and 65535");
    }
    if (c->reboot_timeout < -1 || c->reboot_timeout > UINT16_MAX) {
        return system_set_error(error, "reboot timeout is invalid,"
                                "it should be a value between -1 and 65535");
    }
    f->boot_menu = c->menu;
    f->has_boot_timeout = c->has_splash_time;
    f->boot_timeout = (uint16_t)c->splash_time;
    f->has_reboot_timeout = c->has_reboot_timeout;
    f->reboot_timeout = (int32_t)c->reboot_timeout;
    return true;
}

bool firmware_set_boot(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "order", error);
    BootConfig *config = args ? opt_config_new(&boot_options, args, OPT_PARAMETERS, error) : NULL;
    bool ok = config && boot_take(&s->firmware, config, error);

    opt_config_free(&boot_options, config);
    return ok;
}

bool firmware_set_nographic(System *s, const char *arg, GError **error)
{
    s->firmware.nographic = true;
    return true;
}

/* --- items --- */

static void firmware_add_cpus(FwCfg *f, const Firmware *fw)
{
    uint16_t cpus = MAX(fw->cpus, 1);
    uint16_t max_cpus = MAX(fw->max_cpus, cpus);
    /* no nodes; then for each CPU the node that it is in */
    g_autofree uint64_t *numa = g_new0(uint64_t, 1 + (size_t)max_cpus);

    fw_cfg_add_u16(f, FW_CFG_NB_CPUS, cpus);
    fw_cfg_add_u16(f, FW_CFG_MAX_CPUS, max_cpus);
    fw_cfg_add(f, FW_CFG_NUMA, numa, (1 + (size_t)max_cpus) * sizeof(*numa));
}

static void firmware_add_boot(FwCfg *f, const Firmware *fw)
{
    uint32_t reboot = GUINT32_TO_LE(fw->has_reboot_timeout ? (uint32_t)fw->reboot_timeout
                                                           : UINT32_MAX);
    uint16_t menu = GUINT16_TO_LE(fw->boot_timeout);

    fw_cfg_add_u16(f, FW_CFG_NOGRAPHIC, fw->nographic);
    fw_cfg_add_u16(f, FW_CFG_BOOT_MENU, fw->boot_menu);
    fw_cfg_add_file(f, "etc/boot-fail-wait", &reboot, sizeof(reboot));
    if (fw->has_boot_timeout) {
        fw_cfg_add_file(f, "etc/boot-menu-wait", &menu, sizeof(menu));
    }
}

/* Of a PC: where its memory is. */
static void firmware_add_e820(FwCfg *f, const AddressSpace *memory)
{
    g_autoptr(GByteArray) map = g_byte_array_new();
    const uint32_t kind = GUINT32_TO_LE(E820_RAM);
    const RamRegion *r;

    for (unsigned n = 0; (r = address_space_ram(memory, n)); n++) {
        const uint64_t range[] = { GUINT64_TO_LE(r->base), GUINT64_TO_LE(r->size) };

        g_byte_array_append(map, (const guint8 *)range, sizeof(range));
        g_byte_array_append(map, (const guint8 *)&kind, sizeof(kind));
    }
    fw_cfg_add_file(f, "etc/e820", map->data, map->len);
}

void firmware_add(System *s, Board *b)
{
    const Firmware *fw = &s->firmware;
    FwCfg *f = fw_cfg_new(b->memory);

    b->fw_cfg = f;
    fw_cfg_add(f, FW_CFG_UUID, fw->uuid, sizeof(fw->uuid));
    firmware_add_cpus(f, fw);
    firmware_add_boot(f, fw);
    if (s->machine->has_pci) {
        fw_cfg_add_u64(f, FW_CFG_RAM_SIZE, b->ram_size);
        firmware_add_e820(f, b->memory);
        fw_cfg_map_ports(f, b->ports);
    } else {
        fw_cfg_map_memory(f, VIRT_FW_CFG);
    }
}

/*
 * QMP: what callers ask of a machine and of jobs before they do anything, and that is short to
 * answer here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

static const OptMember string_item = { .type = OPT_STR };

/* --- query-jobs --- */

typedef struct JobInfo {
    char *id;
    char *type;
    char *status;
    int64_t current;
    int64_t total;
    char *error;
} JobInfo;

static const OptMember job_members[] = {
    { "id", OPT_STR, offsetof(JobInfo, id), .required = true },
    { "type", OPT_STR, offsetof(JobInfo, type), .required = true },
    { "status", OPT_STR, offsetof(JobInfo, status), .required = true },
    { "current-progress", OPT_INT64, offsetof(JobInfo, current), .required = true },
    { "total-progress", OPT_INT64, offsetof(JobInfo, total), .required = true },
    { "error", OPT_STR, offsetof(JobInfo, error) },
    { 0 },
};
static const OptTable job_table = { "JobInfo", sizeof(JobInfo), job_members };
static const OptMember job_item = { .type = OPT_STRUCT, .table = &job_table };
static const OptMember jobs_result = { .type = OPT_LIST, .item = &job_item };

/* Lists that are always empty. */
static bool query_none(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    return true;
}

/* --- processors: there are none, which libvirt takes as those of TCG without threads --- */

typedef struct CpuInfo {
    int64_t index;
    int64_t thread_id;
    char *qom_path;
} CpuInfo;

static const OptMember cpu_members[] = {
    { "cpu-index", OPT_INT64, offsetof(CpuInfo, index), .required = true },
    { "thread-id", OPT_INT64, offsetof(CpuInfo, thread_id), .required = true },
    { "qom-path", OPT_STR, offsetof(CpuInfo, qom_path), .required = true },
    { 0 },
};
static const OptTable cpu_table = { "CpuInfoFast", sizeof(CpuInfo), cpu_members };
static const OptMember cpu_item = { .type = OPT_STRUCT, .table = &cpu_table };
static const OptMember cpus_result = { .type = OPT_LIST, .item = &cpu_item };

/* --- the balloon: an inert device, whose size is remembered --- */

typedef struct BalloonArgs {
    int64_t value;
} BalloonArgs;

static const OptMember balloon_members[] = {
    { "value", OPT_INT64, offsetof(BalloonArgs, value), .required = true },
    { 0 },
};
static const OptTable balloon_args = { "balloon", sizeof(BalloonArgs), balloon_members };

typedef struct BalloonInfo {
    uint64_t actual;
} BalloonInfo;

static const OptMember balloon_info_members[] = {
    { "actual", OPT_UINT64, offsetof(BalloonInfo, actual), .required = true },
    { 0 },
};
static const OptTable balloon_table = { "BalloonInfo", sizeof(BalloonInfo),
                                        balloon_info_members };
static const OptMember balloon_result = { .type = OPT_STRUCT, .table = &balloon_table };

static bool balloon_is_there(const System *s, GError **error)
{
    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        const Device *d = device_registry_nth(s->devices, i);

        if (g_str_equal(device_class_name(d->class), "virtio-balloon-pci")) {
            return true;
        }
    }
    g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_ACTIVE,
                "No balloon device has been activated");
    return false;
}

static bool qmp_balloon(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    System *s = opaque;
    int64_t value = ((const BalloonArgs *)args)->value;

    if (!balloon_is_there(s, error)) {
        return false;
    }
    if (value <= 0) {
        return system_set_error(error, "Parameter 'target' expects a size");
    }
    s->balloon = (uint64_t)value;
    return true;
}

static bool query_balloon(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const System *s = opaque;
    BalloonInfo *info;

    if (!balloon_is_there(s, error)) {
        return false;
    }
    info = g_new0(BalloonInfo, 1);
    info->actual = s->balloon > 0 ? s->balloon : machine_ram_size(s);
    *(BalloonInfo **)ret = info;
    return true;
}

/* --- TPMs: there are none --- */

static const OptMember tpm_result = { .type = OPT_LIST, .item = &string_item };

void qmp_machine_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-jobs", NULL, &jobs_result, query_none },
        { "balloon", &balloon_args, .run = qmp_balloon },
        { "query-balloon", NULL, &balloon_result, query_balloon },
        { "query-cpus-fast", NULL, &cpus_result, query_none },
        { "query-tpm-models", NULL, &tpm_result, query_none },
        { "query-tpm-types", NULL, &tpm_result, query_none },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}

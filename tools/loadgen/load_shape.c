#include "tools/loadgen/load_shape.h"

#include <assert.h>
#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"

const char *const load_exporter_names[LOAD_EXPORTERS + 1] = {"node", "cadvisor", "kube-state",
                                                             NULL};

enum { DIMENSIONS_MAX = 3, LABELS_MAX = 20, VALUES_MAX = 64 };

// A family: its labels' values, and how its series move. percent: how many of them are constant.
struct family {
    const char *name;
    const char *dimensions[DIMENSIONS_MAX]; // "mode=user,system" or "cpu=#8": 0 to 7
    enum load_motion_kind kind;
    double base, step, divisor;
    int constant_percent;
};

#define CPU_MODES "mode=idle,iowait,irq,nice,softirq,steal,system,user"
#define DISKS "device=dm-0,nvme0n1,nvme1n1,sda,sdb"
#define NETS "device=cilium_host,docker0,eth0,eth1,lo,veth0a1b,veth1c2d,veth3e4f"
#define MOUNTS "mountpoint=/,/boot,/boot/efi,/data,/run,/run/lock,/tmp,/var"
#define FS "device=/dev/nvme0n1p1", "fstype=ext4", MOUNTS

static const struct family node[] = {
    {"node_cpu_seconds_total", {"cpu=#16", CPU_MODES}, LOAD_COUNTER, 1e7, 190, 100, 35},
    {"node_cpu_guest_seconds_total", {"cpu=#16", "mode=nice,user"}, LOAD_COUNTER, 0, 1, 100, 100},
    {"node_cpu_frequency_max_hertz", {"cpu=#16"}, LOAD_GAUGE, 3.6e9, 0, 1, 100},
    {"node_cpu_scaling_frequency_hertz", {"cpu=#16"}, LOAD_GAUGE, 2.9e6, 1e6, 1e-3, 0},
    {"node_schedstat_running_seconds_total", {"cpu=#16"}, LOAD_COUNTER, 1e15, 4e9, 1e9, 0},
    {"node_schedstat_waiting_seconds_total", {"cpu=#16"}, LOAD_COUNTER, 1e14, 2e8, 1e9, 0},
    {"node_schedstat_timeslices_total", {"cpu=#16"}, LOAD_COUNTER, 1e9, 2e4, 1, 0},
    {"node_softnet_processed_total", {"cpu=#16"}, LOAD_COUNTER, 1e8, 4000, 1, 0},
    {"node_softnet_dropped_total", {"cpu=#16"}, LOAD_COUNTER, 0, 1, 1, 100},
    {"node_softnet_times_squeezed_total", {"cpu=#16"}, LOAD_COUNTER, 100, 0.1, 1, 40},
    {"node_disk_reads_completed_total", {DISKS}, LOAD_COUNTER, 1e7, 40, 1, 40},
    {"node_disk_reads_merged_total", {DISKS}, LOAD_COUNTER, 1e5, 1, 1, 60},
    {"node_disk_read_bytes_total", {DISKS}, LOAD_COUNTER, 1e12, 6e5, 1, 40},
    {"node_disk_read_time_seconds_total", {DISKS}, LOAD_COUNTER, 1e7, 50, 1e3, 40},
    {"node_disk_writes_completed_total", {DISKS}, LOAD_COUNTER, 1e8, 900, 1, 20},
    {"node_disk_writes_merged_total", {DISKS}, LOAD_COUNTER, 1e7, 90, 1, 20},
    {"node_disk_written_bytes_total", {DISKS}, LOAD_COUNTER, 1e13, 2e7, 1, 20},
    {"node_disk_write_time_seconds_total", {DISKS}, LOAD_COUNTER, 1e8, 1500, 1e3, 20},
    {"node_disk_io_time_seconds_total", {DISKS}, LOAD_COUNTER, 1e8, 900, 1e3, 20},
    {"node_disk_io_time_weighted_seconds_total", {DISKS}, LOAD_COUNTER, 1e8, 1600, 1e3, 20},
    {"node_disk_io_now", {DISKS}, LOAD_GAUGE, 1, 4, 1, 60},
    {"node_disk_discards_completed_total", {DISKS}, LOAD_COUNTER, 1e4, 1, 1, 90},
    {"node_disk_flush_requests_total", {DISKS}, LOAD_COUNTER, 1e6, 20, 1, 40},
    {"node_filesystem_avail_bytes", {FS}, LOAD_GAUGE, 1e7, 2e4, 1.0 / 4096, 50},
    {"node_filesystem_free_bytes", {FS}, LOAD_GAUGE, 1.2e7, 2e4, 1.0 / 4096, 50},
    {"node_filesystem_size_bytes", {FS}, LOAD_GAUGE, 5e7, 0, 1.0 / 4096, 100},
    {"node_filesystem_files", {FS}, LOAD_GAUGE, 1e7, 0, 1, 100},
    {"node_filesystem_files_free", {FS}, LOAD_GAUGE, 9e6, 500, 1, 50},
    {"node_filesystem_readonly", {FS}, LOAD_GAUGE, 0, 0, 1, 100},
    {"node_filesystem_device_error", {FS}, LOAD_GAUGE, 0, 0, 1, 100},
    {"node_network_receive_bytes_total", {NETS}, LOAD_COUNTER, 1e12, 3e6, 1, 10},
    {"node_network_receive_packets_total", {NETS}, LOAD_COUNTER, 1e9, 4000, 1, 10},
    {"node_network_receive_errs_total", {NETS}, LOAD_COUNTER, 0, 0, 1, 100},
    {"node_network_receive_drop_total", {NETS}, LOAD_COUNTER, 10, 0.1, 1, 80},
    {"node_network_receive_fifo_total", {NETS}, LOAD_COUNTER, 0, 0, 1, 100},
    {"node_network_receive_multicast_total", {NETS}, LOAD_COUNTER, 1e5, 1, 1, 80},
    {"node_network_transmit_bytes_total", {NETS}, LOAD_COUNTER, 1e12, 4e6, 1, 10},
    {"node_network_transmit_packets_total", {NETS}, LOAD_COUNTER, 1e9, 4200, 1, 10},
    {"node_network_transmit_errs_total", {NETS}, LOAD_COUNTER, 0, 0, 1, 100},
    {"node_network_transmit_drop_total", {NETS}, LOAD_COUNTER, 0, 0, 1, 100},
    {"node_network_transmit_queue_length", {NETS}, LOAD_GAUGE, 1000, 0, 1, 100},
    {"node_network_carrier", {NETS}, LOAD_GAUGE, 1, 0, 1, 100},
    {"node_network_carrier_changes_total", {NETS}, LOAD_COUNTER, 2, 0, 1, 100},
    {"node_network_mtu_bytes", {NETS}, LOAD_GAUGE, 1500, 0, 1, 100},
    {"node_network_speed_bytes", {NETS}, LOAD_GAUGE, 1.25e9, 0, 1, 100},
    {"node_network_up", {NETS}, LOAD_GAUGE, 1, 0, 1, 100},
    {"node_network_iface_id", {NETS}, LOAD_GAUGE, 2, 0, 1, 100},
    {"node_memory_bytes",
     {"field=Active,Active_anon,Active_file,AnonPages,Buffers,Cached,Dirty,"
      "Inactive,Inactive_anon,Inactive_file,KernelStack,Mapped,MemAvailable,"
      "MemFree,PageTables,SReclaimable,SUnreclaim,Shmem,Slab,Committed_AS"},
     LOAD_GAUGE,
     2e6,
     3e4,
     1.0 / 4096,
     0},
    {"node_memory_fixed_bytes",
     {"field=MemTotal,SwapTotal,SwapFree,SwapCached,Mlocked,Unevictable,"
      "VmallocTotal,CommitLimit,Hugepagesize,HugePages_Total,Bounce,"
      "HardwareCorrupted,DirectMap4k,DirectMap2M,DirectMap1G"},
     LOAD_GAUGE,
     8e6,
     0,
     1.0 / 4096,
     100},
    {"node_vmstat",
     {"field=pgfault,pgmajfault,pgpgin,pgpgout,pswpin,pswpout,oom_kill"},
     LOAD_COUNTER,
     1e9,
     3e4,
     1,
     40},
    {"node_netstat",
     {"field=Icmp_InErrors,IpExt_InOctets,IpExt_OutOctets,Tcp_ActiveOpens,"
      "Tcp_InErrs,Tcp_InSegs,Tcp_OutRsts,Tcp_OutSegs,Tcp_PassiveOpens,"
      "Tcp_RetransSegs,Udp_InDatagrams,Udp_InErrors,Udp_NoPorts,Udp_OutDatagrams"},
     LOAD_COUNTER,
     1e9,
     3000,
     1,
     25},
    {"node_sockstat",
     {"proto=TCP,TCP6,UDP,UDP6,RAW,FRAG", "field=inuse,mem,orphan,tw"},
     LOAD_GAUGE,
     60,
     20,
     1,
     60},
    {"node_pressure_waiting_seconds_total", {"of=cpu,io,memory"}, LOAD_COUNTER, 1e10, 2e4, 1e6, 10},
    {"node_load", {"over=1,5,15"}, LOAD_GAUGE, 220, 300, 100, 0},
    {"node_context_switches_total", {NULL}, LOAD_COUNTER, 1e11, 3e5, 1, 0},
    {"node_intr_total", {NULL}, LOAD_COUNTER, 1e11, 2e5, 1, 0},
    {"node_forks_total", {NULL}, LOAD_COUNTER, 1e8, 300, 1, 0},
    {"node_procs_running", {NULL}, LOAD_GAUGE, 4, 8, 1, 0},
    {"node_boot_time_seconds", {NULL}, LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"node_time_seconds", {NULL}, LOAD_COUNTER, 1.78e16, 15e7, 1e7, 0},
    {"node_entropy_available_bits", {NULL}, LOAD_GAUGE, 256, 0, 1, 100},
    {"node_filefd_allocated", {NULL}, LOAD_GAUGE, 6000, 900, 1, 0},
    {"node_scrape_collector_duration_seconds",
     {"collector=arp,bonding,conntrack,cpu,cpufreq,diskstats,dmi,entropy,filefd,filesystem,hwmon,"
      "loadavg,meminfo,netclass,netdev,netstat,nvme,os,pressure,schedstat,sockstat,softnet,stat,"
      "textfile,thermal_zone,time,timex,uname,vmstat"},
     LOAD_GAUGE,
     2e5,
     2e5,
     1e9,
     0},
    {"node_scrape_collector_success",
     {"collector=arp,bonding,conntrack,cpu,cpufreq,diskstats,dmi,entropy,filefd,filesystem,hwmon,"
      "loadavg,meminfo,netclass,netdev,netstat,nvme,os,pressure,schedstat,sockstat,softnet,stat,"
      "textfile,thermal_zone,time,timex,uname,vmstat"},
     LOAD_GAUGE,
     1,
     0,
     1,
     100},
};

#define CONTAINERS "name=k8s_app,k8s_db,k8s_cache,k8s_proxy,k8s_logs,k8s_queue,k8s_web,k8s_cron"
#define IFACES "interface=eth0,eth1"

static const struct family cadvisor[] = {
    {"container_cpu_usage_seconds_total",
     {CONTAINERS, "cpu=total"},
     LOAD_COUNTER,
     1e13,
     2e9,
     1e9,
     10},
    {"container_cpu_user_seconds_total", {CONTAINERS}, LOAD_COUNTER, 1e13, 1.4e9, 1e9, 10},
    {"container_cpu_system_seconds_total", {CONTAINERS}, LOAD_COUNTER, 1e12, 6e8, 1e9, 10},
    {"container_cpu_cfs_periods_total", {CONTAINERS}, LOAD_COUNTER, 1e6, 120, 1, 20},
    {"container_cpu_cfs_throttled_periods_total", {CONTAINERS}, LOAD_COUNTER, 1e4, 3, 1, 60},
    {"container_memory_usage_bytes", {CONTAINERS}, LOAD_GAUGE, 1e5, 2000, 1.0 / 4096, 10},
    {"container_memory_working_set_bytes", {CONTAINERS}, LOAD_GAUGE, 9e4, 2000, 1.0 / 4096, 10},
    {"container_memory_rss", {CONTAINERS}, LOAD_GAUGE, 7e4, 1000, 1.0 / 4096, 20},
    {"container_memory_cache", {CONTAINERS}, LOAD_GAUGE, 2e4, 500, 1.0 / 4096, 30},
    {"container_memory_mapped_file", {CONTAINERS}, LOAD_GAUGE, 1e4, 10, 1.0 / 4096, 70},
    {"container_memory_failcnt", {CONTAINERS}, LOAD_COUNTER, 0, 0, 1, 100},
    {"container_memory_failures_total",
     {CONTAINERS, "failure_type=pgfault,pgmajfault", "scope=container,hierarchy"},
     LOAD_COUNTER,
     1e6,
     90,
     1,
     40},
    {"container_fs_reads_bytes_total", {CONTAINERS, DISKS}, LOAD_COUNTER, 1e9, 4096, 1, 70},
    {"container_fs_writes_bytes_total", {CONTAINERS, DISKS}, LOAD_COUNTER, 1e10, 1e5, 1, 40},
    {"container_network_receive_bytes_total", {CONTAINERS, IFACES}, LOAD_COUNTER, 1e11, 1e5, 1, 20},
    {"container_network_receive_packets_total",
     {CONTAINERS, IFACES},
     LOAD_COUNTER,
     1e8,
     120,
     1,
     20},
    {"container_network_receive_errors_total", {CONTAINERS, IFACES}, LOAD_COUNTER, 0, 0, 1, 100},
    {"container_network_transmit_bytes_total",
     {CONTAINERS, IFACES},
     LOAD_COUNTER,
     1e11,
     1e5,
     1,
     20},
    {"container_network_transmit_packets_total",
     {CONTAINERS, IFACES},
     LOAD_COUNTER,
     1e8,
     99,
     1,
     20},
    {"container_spec_memory_limit_bytes", {CONTAINERS}, LOAD_GAUGE, 1e6, 0, 1.0 / 4096, 100},
    {"container_spec_cpu_quota", {CONTAINERS}, LOAD_GAUGE, 2e5, 0, 1, 100},
    {"container_spec_cpu_shares", {CONTAINERS}, LOAD_GAUGE, 1024, 0, 1, 100},
    {"container_start_time_seconds", {CONTAINERS}, LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"container_last_seen", {CONTAINERS}, LOAD_COUNTER, 1.78e9, 15, 1, 0},
    {"container_threads", {CONTAINERS}, LOAD_GAUGE, 40, 8, 1, 60},
    {"container_processes", {CONTAINERS}, LOAD_GAUGE, 4, 1, 1, 90},
    {"container_file_descriptors", {CONTAINERS}, LOAD_GAUGE, 300, 40, 1, 40},
    {"container_tasks_state",
     {CONTAINERS, "state=iowaiting,running,sleeping,stopped,uninterruptible"},
     LOAD_GAUGE,
     0,
     0,
     1,
     100},
};

#define PODS "exported_pod=#64"

static const struct family kube_state[] = {
    {"kube_pod_info", {PODS, "host_network=false"}, LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_pod_created", {PODS}, LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"kube_pod_start_time", {PODS}, LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"kube_pod_owner", {PODS, "owner_kind=ReplicaSet"}, LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_pod_status_phase",
     {PODS, "phase=Failed,Pending,Running,Succeeded,Unknown"},
     LOAD_GAUGE,
     0,
     0,
     1,
     100},
    {"kube_pod_status_ready", {PODS, "condition=false,true,unknown"}, LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_pod_container_info", {PODS, "exported_container=app,sidecar"}, LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_pod_container_status_ready",
     {PODS, "exported_container=app,sidecar"},
     LOAD_GAUGE,
     1,
     0,
     1,
     100},
    {"kube_pod_container_status_running",
     {PODS, "exported_container=app,sidecar"},
     LOAD_GAUGE,
     1,
     0,
     1,
     100},
    {"kube_pod_container_status_restarts_total",
     {PODS, "exported_container=app,sidecar"},
     LOAD_COUNTER,
     3,
     0.01,
     1,
     95},
    {"kube_pod_container_resource_requests",
     {PODS, "exported_container=app,sidecar", "resource=cpu,memory"},
     LOAD_GAUGE,
     250,
     0,
     1000,
     100},
    {"kube_pod_container_resource_limits",
     {PODS, "exported_container=app,sidecar", "resource=cpu,memory"},
     LOAD_GAUGE,
     500,
     0,
     1000,
     100},
    {"kube_deployment_status_replicas", {"deployment=#16"}, LOAD_GAUGE, 3, 1, 1, 90},
    {"kube_deployment_spec_replicas", {"deployment=#16"}, LOAD_GAUGE, 3, 0, 1, 100},
    {"kube_deployment_status_replicas_available", {"deployment=#16"}, LOAD_GAUGE, 3, 1, 1, 80},
    {"kube_node_status_condition",
     {"exported_node=#4", "condition=DiskPressure,MemoryPressure,PIDPressure,Ready",
      "status=false,true,unknown"},
     LOAD_GAUGE,
     0,
     0,
     1,
     100},
    {"kube_service_info", {"exported_service=#16"}, LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_configmap_info", {"configmap=#32"}, LOAD_GAUGE, 1, 0, 1, 100},
};

static const struct {
    const struct family *families;
    size_t n;
    const char *job;
    int port;
} exporters[LOAD_EXPORTERS] = {
    [LOAD_NODE] = {node, countof(node), "node-exporter", 9100},
    [LOAD_CADVISOR] = {cadvisor, countof(cadvisor), "kubelet", 10250},
    [LOAD_KUBE_STATE] = {kube_state, countof(kube_state), "kube-state-metrics", 8080},
};

struct labels_of {
    struct labels_builder builder;
    struct arena arena;
};

static void add(struct labels_of *l, const char *name, struct str value)
{
    labels_builder_push(&l->builder, str_from_c(name), value);
}

// The labels a scrape puts on everything of a target.
static void add_target(struct labels_of *l, const struct load_shape *shape, uint32_t target)
{
    static const char generation[] = {'-', LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE,
                                      LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE};
    static_assert(sizeof generation == LOAD_GENERATION_DIGITS + 1, "a digit each");
    const int n = shape->has_generations ? (int)sizeof generation : 0;
    struct arena *const a = &l->arena;
    if (shape->is_bare && n)
        add(l, "generation", str_make(generation + 1, sizeof generation - 1));
    if (shape->is_bare)
        return;
    add(l, "job", str_from_c(exporters[shape->exporter].job));
    add(l, "instance",
        arena_printf(a, "10.%u.%u.%u%.*s:%d", 16 + (target >> 16), target >> 8 & 255, target & 255,
                     n, generation, exporters[shape->exporter].port));
    if (!shape->is_operator)
        return;
    const char *const job = exporters[shape->exporter].job;
    add(l, "cluster", arena_printf(a, "prod-eu-%u", target / 1000));
    add(l, "region", STR("eu-central-1"));
    add(l, "zone", arena_printf(a, "eu-central-1%c", 'a' + (char)(target % 3)));
    add(l, "container", str_from_c(job));
    add(l, "endpoint", STR("http-metrics"));
    add(l, "namespace", STR("monitoring"));
    add(l, "node",
        arena_printf(a, "ip-10-%u-%u-%u.eu-central-1.compute.internal", 16 + (target >> 16),
                     target >> 8 & 255, target & 255));
    add(l, "pod",
        arena_printf(a, "%s-%05x%.*s", job, (unsigned)hash64(&target, sizeof target, 1) & 0xfffff,
                     n, generation));
    add(l, "service", arena_printf(a, "kube-prometheus-stack-%s", job));
    add(l, "prometheus", STR("monitoring/kube-prometheus-stack-prometheus"));
    add(l, "prometheus_replica", STR("prometheus-kube-prometheus-stack-prometheus-0"));
    add(l, "metrics_path", STR("/metrics"));
}

static size_t values_of(const char *dimension, struct arena *a, struct str *out_name,
                        struct str out[static VALUES_MAX])
{
    struct str rest, value;
    const struct str all = str_from_c(dimension);
    const size_t equals = (size_t)str_find(all, '=', 0);
    size_t n = 0;
    *out_name = str_until(all, equals);
    rest = str_from(all, equals + 1);
    if (rest.p[0] == '#') {
        int64_t count = 0;
        (void)(number_parse_i64(str_from(rest, 1), &count) == ERR_OK); // of the table above
        for (; n < (size_t)count && n < VALUES_MAX; n++)
            out[n] = arena_printf(a, "%zu", n);
        return n;
    }
    while (n < VALUES_MAX && str_split(&rest, ',', &value))
        out[n++] = value;
    return n;
}

static struct load_motion motion_of(const struct family *f, uint32_t target, size_t series)
{
    const uint64_t key[] = {target, series};
    const uint64_t h = hash64(key, sizeof key, hash_fnv64a(f->name, strlen(f->name)));
    const double spread = 0.5 + (double)(h >> 40) * 0x1p-24; // no host repeats another
    struct load_motion m = {.base = f->base,
                            .step = f->step * spread,
                            .divisor = f->divisor,
                            .seed = (uint32_t)h,
                            .kind = f->kind};
    if (f->step != 0)
        m.base = floor(f->base * spread);
    if ((int)(h % 100) < f->constant_percent || f->step == 0)
        m.kind = LOAD_CONSTANT;
    return m;
}

static void each_of_family(const struct family *f, uint32_t target, struct labels_of *common,
                           load_series_fn *each, void *arg)
{
    struct str names[DIMENSIONS_MAX], values[DIMENSIONS_MAX][VALUES_MAX];
    size_t counts[DIMENSIONS_MAX] = {1, 1, 1}, total = 1;
    for (size_t d = 0; d < DIMENSIONS_MAX && f->dimensions[d]; d++) {
        counts[d] = values_of(f->dimensions[d], &common->arena, &names[d], values[d]);
        total *= counts[d];
    }
    const size_t common_n = common->builder.n;
    struct buf encoded = {0};
    for (size_t i = 0; i < total; i++) {
        struct labels_builder b = {0};
        for (size_t k = 0; k < common_n; k++)
            labels_builder_push(&b, common->builder.items[k].name, common->builder.items[k].value);
        labels_builder_push(&b, LABEL_NAME, str_from_c(f->name));
        size_t rest = i;
        for (size_t d = DIMENSIONS_MAX; d-- > 0;) {
            if (f->dimensions[d])
                labels_builder_push(&b, names[d], values[d][rest % counts[d]]);
            rest /= counts[d];
        }
        buf_reset(&encoded);
        labels_builder_encode(&b, &encoded);
        labels_builder_deinit(&b);
        const struct load_motion motion = motion_of(f, target, i);
        each(arg, target, buf_str(&encoded), &motion);
    }
    buf_deinit(&encoded);
}

void load_shape_target(const struct load_shape *shape, uint32_t target, load_series_fn *each,
                       void *arg)
{
    struct labels_of common = {0};
    arena_init(&common.arena, 0);
    add_target(&common, shape, target);
    for (size_t i = 0; i < exporters[shape->exporter].n; i++)
        each_of_family(&exporters[shape->exporter].families[i], target, &common, each, arg);
    labels_builder_deinit(&common.builder);
    arena_deinit(&common.arena);
}

void load_shape_target_labels(const struct load_shape *shape, uint32_t target, struct buf *out)
{
    struct labels_of common = {0};
    arena_init(&common.arena, 0);
    add_target(&common, shape, target);
    labels_builder_encode(&common.builder, out);
    labels_builder_deinit(&common.builder);
    arena_deinit(&common.arena);
}

static void count_one(void *arg, uint32_t target, struct str labels,
                      const struct load_motion *motion)
{
    (void)target;
    (void)labels;
    (void)motion;
    ++*(size_t *)arg;
}

size_t load_shape_series(const struct load_shape *shape)
{
    size_t n = 0;
    load_shape_target(shape, 0, count_one, &n);
    return n;
}

void load_shape_sequence(const struct load_shape *shape, uint32_t template, struct buf *out)
{
    struct labels_builder b = {0};
    char instance[32];
    snprintf(instance, sizeof instance, "template-%06u", template);
    labels_builder_push(&b, LABEL_NAME, STR("loadgen_sequence"));
    labels_builder_push(&b, STR("job"), STR("loadgen"));
    labels_builder_push(&b, STR("instance"), str_from_c(instance));
    labels_builder_push(&b, STR("run"), shape->run);
    labels_builder_encode(&b, out);
    labels_builder_deinit(&b);
}

size_t load_shape_families(enum load_exporter exporter)
{
    return exporters[exporter].n;
}

enum load_motion_kind load_shape_kind(enum load_exporter exporter, size_t family)
{
    return exporters[exporter].families[family].kind;
}

struct load_motion load_shape_motion(enum load_exporter exporter, size_t family, size_t series,
                                     uint32_t target)
{
    return motion_of(&exporters[exporter].families[family], target, series);
}

void load_shape_table(enum load_exporter exporter, struct buf *out)
{
    static const char *const kinds[] = {"constant", "counter", "gauge"};
    struct arena a;
    arena_init(&a, 0);
    buf_put_str(out,
                STR("| family | labels | series | kind | constant | grows or strays a step by |\n"
                    "| --- | --- | --- | --- | --- | --- |\n"));
    for (size_t i = 0; i < exporters[exporter].n; i++) {
        const struct family *const f = &exporters[exporter].families[i];
        struct str name, values[VALUES_MAX];
        size_t series = 1;
        buf_printf(out, "| %s | ", f->name);
        for (size_t d = 0; d < DIMENSIONS_MAX && f->dimensions[d]; d++) {
            series *= values_of(f->dimensions[d], &a, &name, values);
            buf_printf(out, "%s%.*s", d ? ", " : "", STR_ARG(name));
        }
        const int constant = f->step == 0 ? 100 : f->constant_percent;
        buf_printf(out, " | %zu | %s | %d %% | ", series, kinds[f->kind], constant);
        if (constant < 100)
            buf_printf(out, "%g to %g", f->step * 0.5 / f->divisor, f->step * 1.5 / f->divisor);
        buf_put_str(out, STR(" |\n"));
    }
    arena_deinit(&a);
}

// What the virtual exporters show, by the names and labels of the real ones.
//
// A name with braces stands for several families, one for each choice. Labels are divided by "; ":
// name=value,value... for each value; name=prefix#n for prefix0 to prefix<n-1>; @container and @pod
// for what a target runs, which comes and goes (load_shape.h: units).
#include "tools/loadgen/load_families.h"

#include "engine/base/util.h"

#define DISKS "device=dm-0,nvme0n1,nvme1n1,sda,sdb"
#define NETS "device=cilium_host,docker0,eth0,eth1,lo,veth0a1b,veth1c2d,veth3e4f"
#define FS                                                                                        \
    "device=/dev/nvme0n1p1; fstype=ext4; mountpoint=/,/boot,/boot/efi,/data,/run,/run/lock,/tmp," \
    "/var; device_error="
#define COLLECTORS                                                                               \
    "collector=arp,bonding,conntrack,cpu,cpufreq,diskstats,dmi,entropy,filefd,filesystem,hwmon," \
    "loadavg,meminfo,netclass,netdev,netstat,nvme,os,pressure,schedstat,sockstat,softnet,stat,"  \
    "textfile,thermal_zone,time,timex,uname,vmstat"
#define CONTAINERS "@pod; container=app,sidecar"
#define DEPLOYMENTS "namespace=default; deployment=app-#16"
#define NODES "node=node-#4"

static const struct load_family node[] = {
    {"node_cpu_seconds_total", "cpu=#16; mode=idle,iowait,irq,nice,softirq,steal,system,user",
     LOAD_COUNTER, 1e7, 190, 100, 35},
    {"node_cpu_guest_seconds_total", "cpu=#16; mode=nice,user", LOAD_COUNTER, 0, 1, 100, 100},
    {"node_cpu_scaling_frequency_hertz", "cpu=#16", LOAD_GAUGE, 2.9e6, 1e6, 1e-3, 0},
    {"node_cpu_scaling_frequency_{min,max}_hertz", "cpu=#16", LOAD_GAUGE, 3.6e6, 0, 1e-3, 100},
    {"node_schedstat_running_seconds_total", "cpu=#16", LOAD_COUNTER, 1e15, 4e9, 1e9, 0},
    {"node_schedstat_waiting_seconds_total", "cpu=#16", LOAD_COUNTER, 1e14, 2e8, 1e9, 0},
    {"node_schedstat_timeslices_total", "cpu=#16", LOAD_COUNTER, 1e9, 2e4, 1, 0},
    {"node_softnet_processed_total", "cpu=#16", LOAD_COUNTER, 1e8, 4000, 1, 0},
    {"node_softnet_times_squeezed_total", "cpu=#16", LOAD_BURSTS, 100, 0.2, 1, 40},
    {"node_softnet_{dropped,cpu_collision,received_rps,flow_limit_count}_total", "cpu=#16",
     LOAD_COUNTER, 0, 0, 1, 100},
    {"node_softnet_backlog_len", "cpu=#16", LOAD_GAUGE, 0, 0, 1, 100},
    {"node_disk_{reads_completed,writes_completed}_total", DISKS, LOAD_COUNTER, 1e8, 900, 1, 30},
    {"node_disk_{reads_merged,writes_merged}_total", DISKS, LOAD_BURSTS, 1e6, 20, 1, 40},
    {"node_disk_{read_bytes,written_bytes}_total", DISKS, LOAD_COUNTER, 1e10, 2e4, 0.001953125, 30},
    {"node_disk_{read_time,write_time,io_time,io_time_weighted}_seconds_total", DISKS, LOAD_COUNTER,
     1e8, 900, 1e3, 30},
    {"node_disk_io_now", DISKS, LOAD_GAUGE, 1, 4, 1, 60},
    {"node_disk_{discards_completed,discards_merged,discarded_sectors}_total", DISKS, LOAD_BURSTS,
     1e4, 1, 1, 90},
    {"node_disk_discard_time_seconds_total", DISKS, LOAD_BURSTS, 1e4, 1, 1e3, 90},
    {"node_disk_flush_requests_total", DISKS, LOAD_COUNTER, 1e6, 20, 1, 40},
    {"node_disk_flush_requests_time_seconds_total", DISKS, LOAD_COUNTER, 1e6, 20, 1e3, 40},
    {"node_filesystem_{avail,free}_bytes", FS, LOAD_GAUGE, 1e7, 2e4, 1.0 / 4096, 50},
    {"node_filesystem_size_bytes", FS, LOAD_GAUGE, 5e7, 0, 1.0 / 4096, 100},
    {"node_filesystem_files", FS, LOAD_GAUGE, 1e7, 0, 1, 100},
    {"node_filesystem_files_free", FS, LOAD_LEVELS, 9e6, 500, 1, 50},
    {"node_filesystem_{readonly,device_error}", FS, LOAD_GAUGE, 0, 0, 1, 100},
    {"node_network_{receive,transmit}_bytes_total", NETS, LOAD_COUNTER, 1e12, 3e6, 1, 10},
    {"node_network_{receive,transmit}_packets_total", NETS, LOAD_COUNTER, 1e9, 4000, 1, 10},
    {"node_network_{receive,transmit}_drop_total", NETS, LOAD_BURSTS, 10, 0.1, 1, 80},
    {"node_network_{receive,transmit}_{errs,fifo,compressed}_total", NETS, LOAD_COUNTER, 0, 0, 1,
     100},
    {"node_network_receive_multicast_total", NETS, LOAD_BURSTS, 1e5, 1, 1, 80},
    {"node_network_{receive_frame,receive_nohandler,transmit_colls,transmit_carrier,carrier_"
     "changes}_total",
     NETS, LOAD_COUNTER, 2, 0, 1, 100},
    {"node_network_{carrier,up,dormant,protocol_type,iface_id,flags}", NETS, LOAD_GAUGE, 1, 0, 1,
     100},
    {"node_network_transmit_queue_length", NETS, LOAD_GAUGE, 1000, 0, 1, 100},
    {"node_network_mtu_bytes", NETS, LOAD_GAUGE, 1500, 0, 1, 100},
    {"node_network_speed_bytes", NETS, LOAD_GAUGE, 1.25e9, 0, 1, 100},
    {"node_memory_{MemFree,MemAvailable,Buffers,Cached,Active,Inactive,Active_anon,Inactive_anon,"
     "Active_file,Inactive_file,Dirty,AnonPages,Mapped,Shmem,Slab,SReclaimable,SUnreclaim,"
     "KernelStack,PageTables,Committed_AS,Percpu}_bytes",
     NULL, LOAD_GAUGE, 2e6, 3e4, 1.0 / 4096, 0},
    {"node_memory_{MemTotal,SwapTotal,SwapFree,SwapCached,Mlocked,Unevictable,VmallocTotal,"
     "VmallocUsed,VmallocChunk,CommitLimit,Hugepagesize,Bounce,HardwareCorrupted,Writeback,"
     "WritebackTmp,NFS_Unstable,AnonHugePages,ShmemHugePages,DirectMap4k,DirectMap2M,DirectMap1G}_"
     "bytes",
     NULL, LOAD_GAUGE, 8e6, 0, 1.0 / 4096, 100},
    {"node_memory_HugePages_{Total,Free,Rsvd,Surp}", NULL, LOAD_GAUGE, 0, 0, 1, 100},
    {"node_vmstat_{pgfault,pgpgin,pgpgout}", NULL, LOAD_COUNTER, 1e9, 3e4, 1, 0},
    {"node_vmstat_{pgmajfault,pswpin,pswpout,oom_kill}", NULL, LOAD_BURSTS, 1e4, 1, 1, 75},
    {"node_netstat_{IpExt_InOctets,IpExt_OutOctets}", NULL, LOAD_COUNTER, 1e12, 3e6, 1, 0},
    {"node_netstat_{Tcp_InSegs,Tcp_OutSegs,Udp_InDatagrams,Udp_OutDatagrams}", NULL, LOAD_COUNTER,
     1e9, 3000, 1, 0},
    {"node_netstat_{Tcp_ActiveOpens,Tcp_PassiveOpens,Tcp_OutRsts,Tcp_RetransSegs,TcpExt_"
     "TCPTimeouts,TcpExt_TCPSynRetrans}",
     NULL, LOAD_BURSTS, 1e6, 3, 1, 0},
    {"node_netstat_{Icmp_InErrors,Tcp_InErrs,Udp_InErrors,Udp_NoPorts,Udp_RcvbufErrors,Udp_"
     "SndbufErrors,TcpExt_ListenDrops,TcpExt_ListenOverflows}",
     NULL, LOAD_BURSTS, 1e3, 0.1, 1, 60},
    {"node_netstat_{Tcp_CurrEstab,Ip_Forwarding}", NULL, LOAD_LEVELS, 60, 20, 1, 50},
    {"node_sockstat_{TCP_inuse,TCP_tw,TCP_alloc,TCP_mem,UDP_inuse,sockets_used}", NULL, LOAD_LEVELS,
     300, 40, 1, 0},
    {"node_sockstat_{TCP_orphan,RAW_inuse,FRAG_inuse,FRAG_memory,UDP_mem,UDPLITE_inuse,TCP6_inuse,"
     "UDP6_inuse}",
     NULL, LOAD_GAUGE, 2, 0, 1, 100},
    {"node_pressure_{cpu_waiting,io_waiting,io_stalled,memory_waiting,memory_stalled}_seconds_"
     "total",
     NULL, LOAD_COUNTER, 1e10, 2e4, 1e6, 20},
    {"node_load{1,5,15}", NULL, LOAD_GAUGE, 220, 300, 100, 0},
    {"node_context_switches_total", NULL, LOAD_COUNTER, 1e11, 3e5, 1, 0},
    {"node_intr_total", NULL, LOAD_COUNTER, 1e11, 2e5, 1, 0},
    {"node_forks_total", NULL, LOAD_COUNTER, 1e8, 300, 1, 0},
    {"node_procs_{running,blocked}", NULL, LOAD_GAUGE, 4, 8, 1, 0},
    {"node_boot_time_seconds", NULL, LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"node_time_seconds", NULL, LOAD_GAUGE, 1.78e16, 1e8, 1e7, 0},
    {"node_timex_{offset_seconds,maxerror_seconds,frequency_adjustment_ratio}", NULL, LOAD_GAUGE,
     1e5, 1e5, 1e9, 0},
    {"node_timex_{status,sync_status,loop_time_constant,tick_seconds,tai_offset_seconds}", NULL,
     LOAD_GAUGE, 1, 0, 1, 100},
    {"node_entropy_{available,pool_size}_bits", NULL, LOAD_GAUGE, 256, 0, 1, 100},
    {"node_filefd_allocated", NULL, LOAD_LEVELS, 6000, 900, 1, 0},
    {"node_filefd_maximum", NULL, LOAD_GAUGE, 9.2e18, 0, 1, 100},
    {"node_arp_entries", "device=cilium_host,eth0", LOAD_LEVELS, 12, 6, 1, 30},
    {"node_nf_conntrack_entries", NULL, LOAD_GAUGE, 2e4, 3000, 1, 0},
    {"node_nf_conntrack_entries_limit", NULL, LOAD_GAUGE, 262144, 0, 1, 100},
    {"node_uname_info",
     "domainname=(none); machine=x86_64; nodename=node; release=6.1.0-25-amd64; sysname=Linux; "
     "version=#1 SMP PREEMPT_DYNAMIC",
     LOAD_GAUGE, 1, 0, 1, 100},
    {"node_scrape_collector_duration_seconds", COLLECTORS, LOAD_GAUGE, 2e5, 2e5, 1e9, 0},
    {"node_scrape_collector_success", COLLECTORS, LOAD_GAUGE, 1, 0, 1, 100},
};

static const struct load_family cadvisor[] = {
    {"container_cpu_usage_seconds_total", "@container; cpu=total", LOAD_COUNTER, 1e13, 2e9, 1e9,
     10},
    {"container_cpu_{user,system}_seconds_total", "@container", LOAD_COUNTER, 1e12, 1e9, 1e9, 10},
    {"container_cpu_cfs_periods_total", "@container", LOAD_COUNTER, 1e6, 120, 1, 20},
    {"container_cpu_cfs_throttled_periods_total", "@container", LOAD_BURSTS, 1e4, 3, 1, 60},
    {"container_cpu_cfs_throttled_seconds_total", "@container", LOAD_BURSTS, 1e9, 3e6, 1e6, 60},
    {"container_memory_{usage,working_set}_bytes", "@container", LOAD_GAUGE, 1e5, 2000, 1.0 / 4096,
     10},
    {"container_memory_max_usage_bytes", "@container", LOAD_GAUGE, 2e5, 0, 1.0 / 4096, 100},
    {"container_memory_rss", "@container", LOAD_GAUGE, 7e4, 1000, 1.0 / 4096, 20},
    {"container_memory_cache", "@container", LOAD_GAUGE, 2e4, 500, 1.0 / 4096, 30},
    {"container_memory_{mapped_file,total_active_file_bytes,total_inactive_file_bytes}",
     "@container", LOAD_LEVELS, 1e4, 10, 1.0 / 4096, 60},
    {"container_memory_swap", "@container", LOAD_GAUGE, 0, 0, 1, 100},
    {"container_memory_failcnt", "@container", LOAD_COUNTER, 0, 0, 1, 100},
    {"container_memory_failures_total",
     "@container; failure_type=pgfault,pgmajfault; scope=container,hierarchy", LOAD_COUNTER, 1e6,
     90, 1, 40},
    {"container_fs_{reads,writes}_bytes_total", "@container; " DISKS, LOAD_BURSTS, 1e9, 4096, 1,
     60},
    {"container_fs_{reads,writes}_total", "@container; " DISKS, LOAD_BURSTS, 1e6, 2, 1, 60},
    {"container_network_{receive,transmit}_bytes_total", "@container; interface=eth0", LOAD_COUNTER,
     1e11, 1e5, 1, 20},
    {"container_network_{receive,transmit}_packets_total", "@container; interface=eth0",
     LOAD_COUNTER, 1e8, 120, 1, 20},
    {"container_network_{receive,transmit}_{errors,packets_dropped}_total",
     "@container; interface=eth0", LOAD_COUNTER, 0, 0, 1, 100},
    {"container_pressure_{cpu,memory,io}_{waiting,stalled}_seconds_total", "@container",
     LOAD_BURSTS, 1e8, 200, 1e6, 40},
    {"container_spec_memory_{limit,swap_limit,reservation_limit}_bytes", "@container", LOAD_GAUGE,
     1e6, 0, 1.0 / 4096, 100},
    {"container_spec_cpu_{quota,period,shares}", "@container", LOAD_GAUGE, 1024, 0, 1, 100},
    {"container_{start,creation}_time_seconds", "@container", LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"container_last_seen", "@container", LOAD_GAUGE, 1.78e9, 2, 1, 0},
    {"container_threads", "@container", LOAD_LEVELS, 40, 8, 1, 60},
    {"container_threads_max", "@container", LOAD_GAUGE, 4096, 0, 1, 100},
    {"container_{processes,sockets}", "@container", LOAD_LEVELS, 8, 3, 1, 80},
    {"container_file_descriptors", "@container", LOAD_LEVELS, 300, 40, 1, 40},
    {"container_oom_events_total", "@container", LOAD_COUNTER, 0, 0, 1, 100},
    {"container_tasks_state",
     "@container; state=iowaiting,running,sleeping,stopped,uninterruptible", LOAD_GAUGE, 0, 0, 1,
     100},
    {"machine_{cpu_cores,cpu_physical_cores,cpu_sockets,memory_bytes,swap_bytes}",
     "boot_id=4f0a2c1e; machine_id=8c5d21; system_uuid=ec2b7f90", LOAD_GAUGE, 16, 0, 1, 100},
};

static const struct load_family kube_state[] = {
    {"kube_pod_info",
     "@pod; host_ip=10.0.0.7; pod_ip=10.244.3.17; node=ip-10-0-0-7; created_by_kind=ReplicaSet; "
     "created_by_name=app-6d4cf56db6; priority_class=; host_network=false",
     LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_pod_{created,start_time,status_scheduled_time}", "@pod", LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"kube_pod_owner",
     "@pod; owner_kind=ReplicaSet; owner_name=app-6d4cf56db6; owner_is_controller=true", LOAD_GAUGE,
     1, 0, 1, 100},
    {"kube_pod_status_phase", "@pod; phase=Failed,Pending,Running,Succeeded,Unknown", LOAD_GAUGE, 0,
     0, 1, 100},
    {"kube_pod_status_{ready,scheduled}", "@pod; condition=false,true,unknown", LOAD_LEVELS, 1, 1,
     1, 98},
    {"kube_pod_restart_policy", "@pod; type=Always", LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_pod_container_info",
     CONTAINERS "; image=registry.example.com/app:1.42; image_spec=app:1.42; image_id=sha256:9b1c; "
                "container_id=containerd://5e0f",
     LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_pod_container_status_{waiting,running,terminated,ready}", CONTAINERS, LOAD_LEVELS, 1, 1,
     1, 98},
    {"kube_pod_container_state_started", CONTAINERS, LOAD_GAUGE, 1.78e9, 0, 1, 100},
    {"kube_pod_container_status_restarts_total", CONTAINERS, LOAD_BURSTS, 3, 0.002, 1, 95},
    {"kube_pod_container_resource_requests",
     CONTAINERS "; node=ip-10-0-0-7; resource=cpu; unit=core", LOAD_GAUGE, 250, 0, 1000, 100},
    {"kube_pod_container_resource_requests",
     CONTAINERS "; node=ip-10-0-0-7; resource=memory; unit=byte", LOAD_GAUGE, 131072, 0, 1.0 / 4096,
     100},
    {"kube_pod_container_resource_limits", CONTAINERS "; node=ip-10-0-0-7; resource=cpu; unit=core",
     LOAD_GAUGE, 250, 0, 1000, 100},
    {"kube_pod_container_resource_limits",
     CONTAINERS "; node=ip-10-0-0-7; resource=memory; unit=byte", LOAD_GAUGE, 131072, 0, 1.0 / 4096,
     100},
    {"kube_deployment_{created,metadata_generation,status_observed_generation}", DEPLOYMENTS,
     LOAD_GAUGE, 12, 0, 1, 100},
    {"kube_deployment_spec_{replicas,paused,strategy_rollingupdate_max_unavailable,strategy_"
     "rollingupdate_max_surge}",
     DEPLOYMENTS, LOAD_GAUGE, 3, 0, 1, 100},
    {"kube_deployment_status_{replicas,replicas_ready,replicas_available,replicas_updated}",
     DEPLOYMENTS, LOAD_LEVELS, 3, 2, 1, 80},
    {"kube_deployment_status_replicas_unavailable", DEPLOYMENTS, LOAD_LEVELS, 1, 2, 1, 80},
    {"kube_deployment_status_condition",
     DEPLOYMENTS "; reason=MinimumReplicasAvailable; condition=Available,Progressing; "
                 "status=false,true,unknown",
     LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_replicaset_{created,spec_replicas,metadata_generation,status_observed_generation}",
     "namespace=default; replicaset=app-#32", LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_replicaset_status_{replicas,ready_replicas,fully_labeled_replicas}",
     "namespace=default; replicaset=app-#32", LOAD_LEVELS, 3, 2, 1, 90},
    {"kube_node_info",
     NODES "; kernel_version=6.1.0; os_image=Debian GNU/Linux 12; "
           "container_runtime_version=containerd://1.7; kubelet_version=v1.33.1; "
           "kubeproxy_version=deprecated; provider_id=aws:///eu-central-1a/i-0a1b2c3d; "
           "pod_cidr=10.244.0.0/24; system_uuid=ec2b7f90; internal_ip=10.0.0.7",
     LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_node_{created,spec_unschedulable}", NODES, LOAD_GAUGE, 0, 0, 1, 100},
    {"kube_node_status_capacity", NODES "; resource=cpu; unit=core", LOAD_GAUGE, 16, 0, 1, 100},
    {"kube_node_status_capacity", NODES "; resource=ephemeral_storage,memory; unit=byte",
     LOAD_GAUGE, 1.6e7, 0, 1.0 / 4096, 100},
    {"kube_node_status_capacity", NODES "; resource=pods; unit=integer", LOAD_GAUGE, 110, 0, 1,
     100},
    {"kube_node_status_allocatable", NODES "; resource=cpu; unit=core", LOAD_GAUGE, 15.89, 0, 1,
     100},
    {"kube_node_status_allocatable", NODES "; resource=ephemeral_storage,memory; unit=byte",
     LOAD_GAUGE, 1.5e7, 0, 1.0 / 4096, 100},
    {"kube_node_status_allocatable", NODES "; resource=pods; unit=integer", LOAD_GAUGE, 110, 0, 1,
     100},
    {"kube_node_status_condition",
     NODES "; condition=DiskPressure,MemoryPressure,NetworkUnavailable,PIDPressure,Ready; "
           "status=false,true,unknown",
     LOAD_GAUGE, 0, 0, 1, 100},
    {"kube_service_info",
     "namespace=default; service=app-#16; uid=5d1e; cluster_ip=10.96.0.12; external_name=; "
     "external_traffic_policy=Cluster; load_balancer_ip=",
     LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_service_created", "namespace=default; service=app-#16; uid=5d1e", LOAD_GAUGE, 1.78e9, 0,
     1, 100},
    {"kube_service_spec_type", "namespace=default; service=app-#16; uid=5d1e; type=ClusterIP",
     LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_namespace_{created,labels}", "namespace=team-#8", LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_namespace_status_phase", "namespace=team-#8; phase=Active,Terminating", LOAD_GAUGE, 1, 0,
     1, 100},
    {"kube_configmap_{info,created}", "namespace=default; configmap=app-#32", LOAD_GAUGE, 1, 0, 1,
     100},
    {"kube_secret_type", "namespace=default; secret=app-#32; type=Opaque", LOAD_GAUGE, 1, 0, 1,
     100},
    {"kube_secret_{info,created}", "namespace=default; secret=app-#32", LOAD_GAUGE, 1, 0, 1, 100},
    {"kube_job_{info,created,spec_completions,status_succeeded,status_active}",
     "namespace=batch; job_name=nightly-#8", LOAD_LEVELS, 1, 1, 1, 90},
    {"kube_persistentvolumeclaim_resource_requests_storage_bytes",
     "namespace=default; persistentvolumeclaim=data-#8", LOAD_GAUGE, 2621440, 0, 1.0 / 4096, 100},
    {"kube_persistentvolumeclaim_status_phase",
     "namespace=default; persistentvolumeclaim=data-#8; phase=Bound,Lost,Pending", LOAD_GAUGE, 1, 0,
     1, 100},
};

const struct load_exporter_families load_exporter_families[LOAD_EXPORTERS] = {
    [LOAD_NODE] = {node, countof(node), "node-exporter", 9100, 0, 0, 20000},
    [LOAD_CADVISOR] = {cadvisor, countof(cadvisor), "kubelet", 10250, 8, 4, 5000},
    [LOAD_KUBE_STATE] = {kube_state, countof(kube_state), "kube-state-metrics", 8080, 64, 4, 0},
};

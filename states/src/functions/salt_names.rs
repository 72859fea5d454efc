//! The names of Salt's own execution functions, to tell what is not supported here from what is misspelt.

/// Modules of Salt, functions of which exist that are not listed in [`FUNCTIONS`].
pub(super) const MODULES: &str = "\
    acl aliases alternatives ansible apache apf appx archive artifactory assistive asymmetric at \
    auditpol autoruns baredoc bcache beacons bgp boto3_route53 boto_ec2 bower bridge btrfs cassandra \
    cassandra_cql celery certutil chef chocolatey chronos chroot cloud cmd composer config consul \
    couchdb cp cpan cron cryptdev data debconf defaults desktop devinfo devmap dig disk dism dnsutil \
    docker dockercompose dsc dsc_resource elasticsearch environ etcd ethtool event extfs file firewall \
    firewalld fmadm gem git glance gpg grains group hashutil hg highstate_doc hosts http idem incron \
    influxdb ini iosconfig ip ipset iptables iwtools jinja junos k8s kernelpkg key keyboard keychain \
    keystone kmod kubernetes ldap ldap3 lgpo lgpo_reg license linux_service locale locate log \
    logrotate lowpkg lvm lxc lxd macdefaults macpackage match memcached mine minion mongodb mount \
    mysql nacl nagios napalm napalm_formula napalm_yang net netacl netaddress network neutron nfs3 \
    nftables nginx nova npm ntp nxos nxos_api nxos_upgrade oracle osquery out pam partition pear \
    pillar pip pkg pkg_resource pkgbuild pkgutil postgres power powercfg probes proxy ps psget publish \
    puppet pyeapi pyenv quota rabbitmq raid random rbac rdp redis reg rest_sample_utils restartcheck \
    ret route rsync salt_proxy salt_version saltcheck saltcloud saltutil schedule scp scsi sdb seed \
    selinux service shadow shortcut slack slsutil smbios snapper snmp softwareupdate splunk sqlite3 \
    ssh ssh_pki state status supervisord svn swarm sys sysctl sysfs syslog_ng system task temp test \
    test_virtual textfsm timezone tls udev user users vagrant vault virt virtualenv vsphere webutil \
    win_dacl win_dns_client win_event win_iis win_path win_pki win_servermanager win_smtp_server \
    win_snmp win_wua winrepo wusa x509 xattr xfs xml yaml zabbix zfs zk_concurrency zoneadm zonecfg \
    zpool";

/// Functions of the modules of which some are supported here.
pub(super) const FUNCTIONS: &[(&str, &str)] = &[
    (
        "alternatives",
        "\
         auto check_exists check_installed display install remove set show_current show_link",
    ),
    (
        "cmd",
        "\
         exec_code exec_code_all has_exec powershell powershell_all retcode run run_all run_bg run_chroot \
         run_stderr run_stdout script script_retcode shell shell_info shells tty which which_bin",
    ),
    (
        "config",
        "\
         backup_mode dot_vals gather_bootstrap_script get items manage_mode merge option valid_fileproto",
    ),
    (
        "cp",
        "\
         cache_dest cache_dir cache_file cache_file_ssh cache_files cache_local_file cache_master envs \
         get_dir get_file get_file_str get_template get_url hash_file hash_file_ssh is_cached list_master \
         list_master_dirs list_master_symlinks list_minion list_states push push_dir recv recv_chunked \
         stat_file",
    ),
    (
        "defaults",
        "\
         deepcopy get merge update",
    ),
    (
        "disk",
        "\
         blkid dump format fstype get_fstype_from_path hdparms hpa inodeusage iostat percent resize2fs \
         smart_attributes tune usage wipe",
    ),
    (
        "environ",
        "\
         get has_value item items setenv setval",
    ),
    (
        "file",
        "\
         access append apply_template_on_contents basename blockreplace chattr check_file_meta check_hash \
         check_managed check_managed_changes check_perms chgrp chown comment comment_line contains \
         contains_glob contains_regex copy delete_backup directory_exists dirname diskusage extract_hash \
         file_exists find get_devmm get_diff get_gid get_group get_hash get_managed get_mode \
         get_selinux_context get_source_sum get_sum get_uid get_user gid_to_group grep group_to_gid \
         is_blkdev is_chrdev is_fifo is_hardlink is_link join lchown line link list_backup list_backups \
         list_backups_dir lsattr lstat makedirs makedirs_perms manage_file mkdir mknod mknod_blkdev \
         mknod_chrdev mknod_fifo move normpath open_files pardir patch path_exists_glob prepend psed read \
         readdir readlink remove remove_backup rename replace restore_backup restorecon rmdir search sed \
         sed_contains seek_read seek_write set_mode set_selinux_context source_list stats statvfs symlink \
         touch truncate uid_to_user uncomment user_to_uid write",
    ),
    (
        "grains",
        "\
         append delkey delval equals fetch filter_by get has_value item items ls remove set setval setvals",
    ),
    (
        "group",
        "\
         add adduser chgid delete deluser getent info members",
    ),
    (
        "hashutil",
        "\
         base64_b64decode base64_b64encode base64_decodefile base64_decodestring base64_encodefile \
         base64_encodestring digest digest_file github_signature hmac_compute hmac_signature md5_digest \
         sha256_digest sha512_digest",
    ),
    (
        "hosts",
        "\
         add_host get_alias get_ip has_pair list_hosts rm_host set_comment set_host",
    ),
    (
        "kmod",
        "\
         available check_available is_loaded load lsmod mod_list remove",
    ),
    (
        "locale",
        "\
         avail gen_locale get_locale list_avail set_locale",
    ),
    (
        "log",
        "\
         critical debug error exception info warning",
    ),
    (
        "match",
        "\
         compound data filter_by glob grain grain_pcre ifelse ipcidr list pcre pillar pillar_pcre search_by",
    ),
    (
        "mine",
        "\
         delete flush get get_docker send update valid",
    ),
    (
        "mount",
        "\
         active automaster delete_mount_cache filesystems fstab get_device_from_path get_mount_from_path \
         is_fuse_exec is_mounted mount read_mount_cache remount rm_automaster rm_filesystems rm_fstab \
         rm_vfstab set_automaster set_filesystems set_fstab set_vfstab swapoff swapon swaps umount vfstab \
         write_mount_cache",
    ),
    (
        "network",
        "\
         active_tcp arp calc_net connect convert_cidr default_route dig fqdns get_bufsize get_fqdn \
         get_hostname get_route hw_addr hwaddr ifacestartswith in_subnet interface interface_ip interfaces \
         ip_addrs ip_addrs6 ip_in_subnet ip_neighs ip_neighs6 ip_networks ip_networks6 ipaddrs ipaddrs6 \
         iphexval ipneighs ipneighs6 is_loopback is_private mod_bufsize mod_hostname netstat ping \
         reverse_ip routes subnets subnets6 traceroute wol",
    ),
    (
        "pillar",
        "\
         data ext fetch file_exists filter_by get item items keys ls obfuscate raw",
    ),
    (
        "pkg",
        "\
         add_repo_key autoremove available_version del_repo del_repo_key file_dict file_list get_repo \
         get_repo_keys get_selections hold info_installed install latest_version list_downloaded list_pkgs \
         list_repo_pkgs list_repos list_upgrades mod_repo normalize_name owner parse_arch purge refresh_db \
         remove services_need_restart set_selections show unhold upgrade upgrade_available version \
         version_cmp which",
    ),
    (
        "ps",
        "\
         boot_time cpu_percent cpu_times disk_io_counters disk_partition_usage disk_partitions disk_usage \
         get_pid_list get_users kill_pid lsof netstat network_io_counters num_cpus pgrep pkill proc_info \
         psaux ss status swap_memory top total_physical_memory virtual_memory",
    ),
    (
        "random",
        "\
         get_str hash rand_int sample seed shadow_hash shuffle str_encode",
    ),
    (
        "saltutil",
        "\
         clear_cache clear_job_cache cmd cmd_iter find_cached_job find_job is_running kill_all_jobs \
         kill_job list_extmods mmodule pillar_refresh refresh_beacons refresh_grains refresh_matchers \
         refresh_modules refresh_pillar refresh_resources regen_keys revoke_auth runner running signal_job \
         sync_all sync_beacons sync_clouds sync_engines sync_executors sync_grains sync_log_handlers \
         sync_matchers sync_modules sync_output sync_outputters sync_pillar sync_proxymodules \
         sync_renderers sync_resources sync_returners sync_sdb sync_serializers sync_states sync_thorium \
         sync_tops sync_utils sync_wrapper term_all_jobs term_job update wheel",
    ),
    (
        "service",
        "\
         available disable disabled enable enabled execs firstboot force_reload get_all get_disabled \
         get_enabled get_running get_static mask masked missing offline reload restart show start status \
         stop systemctl_reload unmask",
    ),
    (
        "shadow",
        "\
         default_hash del_password gen_password info list_users lock_password set_date set_expire \
         set_inactdays set_maxdays set_mindays set_password set_warndays unlock_password",
    ),
    (
        "slsutil",
        "\
         banner boolstr deserialize dir_exists file_exists findup merge merge_all path_exists renderer \
         serialize update",
    ),
    (
        "status",
        "\
         all_status cpuinfo cpustats custom diskstats diskusage loadavg master meminfo netdev netstats \
         nproc pid ping_master procs proxy_reconnect time uptime version vmstats w",
    ),
    (
        "sys",
        "\
         argspec doc list_functions list_modules list_renderers list_returner_functions list_returners \
         list_runner_functions list_runners list_state_functions list_state_modules reload_modules \
         renderer_doc returner_argspec returner_doc runner_argspec runner_doc state_argspec state_doc \
         state_schema",
    ),
    (
        "sysctl",
        "\
         assign default_config get persist show",
    ),
    (
        "test",
        "\
         arg arg_clean arg_repr arg_type assertion attr_call collatz conf_test cross_test \
         deprecation_warning echo exception false fib get_opts kwarg module_report not_loaded opts_pkg \
         outputter ping provider providers raise_exception rand_sleep rand_str random_hash retcode sleep \
         stack true try tty version versions versions_information versions_report",
    ),
    (
        "timezone",
        "\
         compare_zone get_hwclock get_offset get_zone get_zonecode list_zones set_hwclock set_zone zone_compare",
    ),
    (
        "user",
        "\
         add chfullname chgid chgroups chhome chhomephone chloginclass chother chroomnumber chshell chuid \
         chworkphone delete get_loginclass getent info list_groups list_users primary_group rename",
    ),
    (
        "sdb",
        "\
         delete get get_or_set_hash set",
    ),
    (
        "state",
        "\
         apply check_request clear_cache clear_request disable enable event get_pauses graph \
         graph_highstate high highstate id_exists list_disabled low orchestrate pause pkg request resume \
         run_request running show_highstate show_low_sls show_lowstate show_sls show_state_usage \
         show_states show_top single sls sls_exists sls_id soft_kill template template_str test top",
    ),
    (
        "http",
        "\
         query update_ca_bundle wait_for_successful_query",
    ),
    (
        "x509",
        "\
         create_certificate create_certificate_ssh create_crl create_csr create_private_key \
         encode_certificate encode_crl encode_csr encode_private_key expired expires get_pem_entries \
         get_pem_entry get_private_key_size get_public_key get_signing_policy read_certificate \
         read_certificates read_crl read_csr sign_remote_certificate verify_crl verify_private_key \
         verify_signature will_expire write_pem",
    ),
    (
        "event",
        "\
         fire fire_master send",
    ),
];

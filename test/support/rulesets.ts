/**
 * Rules as firewalld 1 to 2 writes them, with one zone for all links. The options are further rules of each zone, and
 * ports.
 */
export const firewalld = ({ zones = '', forwardZones = '', ports = 'tcp dport 22 accept' } = {}) => `
table inet firewalld {
  chain filter_IN_public { jump filter_IN_public_allow
    meta l4proto { icmp, ipv6-icmp } accept
    reject with icmpx type admin-prohibited
  }
  chain filter_IN_public_allow { ${ports}
  }
  chain filter_IN_trusted { accept
  }
  chain filter_FWD_public { jump filter_FWD_public_allow
    reject with icmpx type admin-prohibited
  }
  chain filter_FWD_public_allow { oifname "eth0" accept
  }
  chain filter_FWD_trusted { accept
  }
  chain filter_INPUT_ZONES { ${zones}
    iifname "eth0" goto filter_IN_public
    goto filter_IN_public
  }
  chain filter_FORWARD_ZONES { ${forwardZones}
    iifname "eth0" goto filter_FWD_public
    goto filter_FWD_public
  }
  chain filter_INPUT { type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_INPUT_ZONES
    reject with icmpx type admin-prohibited
  }
  chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    ip6 daddr { ::/96, 2002::/24 } reject with icmpv6 type addr-unreachable
    jump filter_FORWARD_ZONES
    reject with icmpx type admin-prohibited
  }
  chain filter_OUTPUT { type filter hook output priority filter + 10; policy accept;
    oifname "lo" accept
  }
}`;

/** Rules as kube-proxy's nftables mode writes them. */
export const kubeProxy = `
table ip kube-proxy {
  map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  set cluster-ips { type ipv4_addr; }
  chain reject-chain { reject
  }
  chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips
  }
  chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  }
  chain cluster-ips-check { ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
    ip daddr { 172.30.0.0/16 } drop comment "Drop traffic to unallocated ClusterIPs"
  }
  chain filter-input { type filter hook input priority -110; policy accept;
    ct state new jump service-endpoints-check
  }
  chain filter-forward { type filter hook forward priority -110; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }
  chain filter-input-firewall { type filter hook input priority -110; policy accept;
    ct state new jump firewall-check
  }
}`;

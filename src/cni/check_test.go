package main

import (
	"os"
	"path/filepath"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

func TestCheckFindsWhatIsMissing(t *testing.T) {
	for name, one := range map[string]struct {
		harm  func(*node, *container, string)
		words string
	}{
		"the record":     {func(n *node, c *container, port string) { os.Remove(n.records()[0]) }, "is not attached"},
		"a sound record": {func(n *node, c *container, port string) { os.WriteFile(n.records()[0], nil, 0o600) }, "is corrupt"},
		"the lease": {func(n *node, c *container, port string) { os.Remove(filepath.Join(n.leaseDir, "dual", "9.1.1.2")) },
			"the lease of 9.1.1.2 is gone"},
		"its own lease": {func(n *node, c *container, port string) {
			os.WriteFile(filepath.Join(n.leaseDir, "dual", "9.1.1.2"), []byte("another\r\neth0"), 0o600)
		}, "the lease of 9.1.1.2 is gone"},
		"the bridge":            {func(n *node, c *container, port string) { n.sh(n.t, "ip link del m-dual") }, "bridge m-dual"},
		"the bridge's being up": {func(n *node, c *container, port string) { n.sh(n.t, "ip link set m-dual down") }, "link m-dual is down"},
		"the port's being up":   {func(n *node, c *container, port string) { n.sh(n.t, "ip link set "+port+" down") }, "is down"},
		"the port":              {func(n *node, c *container, port string) { n.sh(n.t, "ip link set "+port+" nomaster") }, "is no port of bridge m-dual"},
		"hairpin":               {func(n *node, c *container, port string) { n.sh(n.t, "bridge link set dev "+port+" hairpin off") }, "hairpin"},
		"the link":              {func(n *node, c *container, port string) { n.sh(n.t, "ip link del "+port) }, "link " + "c-"},
		"the interface":         {func(n *node, c *container, port string) { c.sh(n.t, "ip link set eth0 down name eth9") }, "eth0"},
		"the interface's being up": {func(n *node, c *container, port string) { c.sh(n.t, "ip link set eth0 down") },
			"interface eth0 is down"},
		"the hardware address": {func(n *node, c *container, port string) { c.sh(n.t, "ip link set eth0 address 0a:00:00:00:00:01") },
			"has the hardware address 0a:00:00:00:00:01"},
		"an IPv4 address": {func(n *node, c *container, port string) { c.sh(n.t, "ip address del 9.1.1.2/25 dev eth0") },
			"does not have 9.1.1.2/25"},
		"an IPv6 address": {func(n *node, c *container, port string) { c.sh(n.t, "ip address del fd01:b:0:1::2/80 dev eth0") },
			"does not have fd01:b:0:1::2/80"},
		"the IPv4 route": {func(n *node, c *container, port string) { c.sh(n.t, "ip route del default") },
			"does not have the route 0.0.0.0/0 via 9.1.1.1"},
		"the IPv6 route": {func(n *node, c *container, port string) { c.sh(n.t, "ip -6 route del default") },
			"does not have the route ::/0 via fd01:b:0:1::1"},
		"what it may send as": {func(n *node, c *container, port string) { n.sh(n.t, "nft flush set bridge overlaynet ports6") },
			"what it sends is dropped: set ports6"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dual)
			n.spoofTable()
			c := n.container()
			result := n.add(c)
			if s := n.call("CHECK", c, map[string]any{"prevResult": result}); s.failed || s.stdout != "" {
				t.Fatalf("CHECK right after ADD: %s", s.stdout)
			}
			one.harm(n, c, result.Interfaces[1].Name)
			s := n.call("CHECK", c, map[string]any{"prevResult": result})
			if !s.failed {
				t.Fatal("CHECK finds nothing")
			}
			contains(t, s.error().Msg, one.words)
		})
	}
}

func TestCheckAllowsWhatLaterPluginsChanged(t *testing.T) {
	for name, change := range map[string]func(*node, *container, *current.Result){
		"a route less": func(n *node, c *container, r *current.Result) {
			c.sh(n.t, "ip route del default")
			r.Routes = r.Routes[1:]
		},
		"a route by another gateway": func(n *node, c *container, r *current.Result) {
			c.sh(n.t, "ip route replace default via 9.1.1.9")
			r.Routes[0].GW = []byte{9, 1, 1, 9}
		},
		"another hardware address": func(n *node, c *container, r *current.Result) {
			c.sh(n.t, "ip link set eth0 address 0a:00:00:00:00:01")
			r.Interfaces[2].Mac = "0a:00:00:00:00:01"
		},
		"an address more": func(n *node, c *container, r *current.Result) { c.sh(n.t, "ip address add 9.1.1.77/25 dev eth0") },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dual)
			c := n.container()
			result := n.add(c)
			change(n, c, result)
			if s := n.call("CHECK", c, map[string]any{"prevResult": result}); s.failed {
				t.Errorf("CHECK: %s", s.stdout)
			}
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNeighboursOfAContainerThatWasDeletedReachTheNextOneThatHasItsAddress(t *testing.T) {
	n := newNode(t, dual)
	n.spoofTable()
	a, before := n.container(), n.container()
	n.add(a)
	n.add(before)
	addresses := []string{"9.1.1.3", "fd01:b:0:1::3"}
	for _, address := range addresses {
		a.reaches(t, address)
	}
	for range 3 {
		n.del(before)
		// host-local starts its search after these addresses
		os.WriteFile(filepath.Join(n.leaseDir, "dual", "last_reserved_ip.0"), []byte("9.1.1.2"), 0o600)
		os.WriteFile(filepath.Join(n.leaseDir, "dual", "last_reserved_ip.1"), []byte("fd01:b:0:1::2"), 0o600)
		next := n.container()
		for at, ip := range n.add(next).IPs {
			if ip.Address.IP.String() != addresses[at] {
				t.Fatalf("the next one has %s", ip.Address.IP)
			}
		}
		for _, address := range addresses {
			entry := a.sh(t, "ip neigh show "+address)
			if mac := identify(next.id, "eth0").innerMAC.String(); !strings.Contains(entry, mac) {
				t.Errorf("%s is %s, and for its neighbour %s", address, mac, entry)
			}
			a.sh(t, "ping -c 1 -w 2 -i 0.2 "+address)
		}
		before = next
	}
	// and the container still has its gateways as neighbours, without a request
	gateways := before.sh(t, "ip neigh show dev eth0")
	contains(t, gateways, "9.1.1.1 lladdr 02:4f:4f:00:00:02", "fd01:b:0:1::1 lladdr 02:4f:4f:00:00:02")
}

package main

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// remains is what there is, or may be, of an attachment that has to go.
type remains struct {
	key    key
	hosts  []string
	claims []claim
	leases []held
	// hurry is for a DEL: who sweeps may be all that its children have, and must not leave them behind.
	hurry bool
}

// recorded goes by the record.
func recorded(conf *config, record *attachment) *remains {
	r := &remains{key: record.key()}
	complete := record.leased()
	for _, one := range record.Interfaces {
		r.hosts = append(r.hosts, one.Host)
		mac, _ := net.ParseMAC(one.MAC)
		for _, address := range one.Addresses {
			r.claims = append(r.claims, claim{one.Host, mac, address})
		}
		if !complete {
			// killed between lease and record
			r.leases = append(r.leases, leases{conf.LeaseDir}.of(r.key, one.Network)...)
			continue
		}
		for _, address := range leasable(one.Addresses) {
			r.leases = append(r.leases, held{one.Network, address, r.key})
		}
	}
	return r
}

// extraInterfaces is how many a container has at most beside the first, where no record tells.
const extraInterfaces = 15

// unrecorded works out from what there is what a record would say: from the names of links, which follow from the
// container's, and from the leases that bear its name.
func unrecorded(conf *config, k key) *remains {
	store := leases{conf.LeaseDir}
	r := &remains{key: k, leases: store.of(k, store.networks()...)}
	names := []string{k.ifname}
	for extra := 1; extra <= extraInterfaces; extra++ {
		name := fmt.Sprintf("eth%d", extra)
		// not those that are attachments of their own
		if own, err := recordsIn(conf.StateDir).read(key{k.containerID, name}); own == nil && err == nil && name != k.ifname {
			names = append(names, name)
		}
	}
	for _, name := range names {
		id := identify(k.containerID, name)
		if _, err := linkIndex(id.host); err != nil {
			continue
		}
		r.hosts = append(r.hosts, id.host)
		r.claims = append(r.claims, claim{id.host, id.innerMAC, linkLocal(id.innerMAC)})
		for _, one := range r.leases {
			r.claims = append(r.claims, claim{id.host, id.innerMAC, one.address})
		}
	}
	return r
}

// undo removes links, elements, leases and, once all of that is gone, the record. The links go first: an address may be
// leased again only when nobody has it any more.
func (r *remains) undo(conf *config) error {
	elements, err := forbid(r.claims)
	if err != nil {
		return err
	}
	defer elements.close()
	if err := r.unplug(elements); err != nil {
		return err
	}
	addresses := map[string][]netip.Addr{}
	for _, one := range r.leases {
		addresses[one.network] = append(addresses[one.network], one.address)
	}
	var failed error
	for network, some := range addresses {
		failed = join(failed, leases{conf.LeaseDir}.release(network, some, r.key))
	}
	if failed != nil {
		return failed
	}
	return recordsIn(conf.StateDir).remove(r.key)
}

// unplug removes the links. Whoever does that for one container need not wait for the kernel to forget it.
func (r *remains) unplug(elements *conn) error {
	if len(r.hosts) == 0 {
		return nil
	}
	host, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer host.close()
	var requests, together []request
	for _, name := range r.hosts {
		requests = append(requests, removeLink(name))
		together = append(together, leave(name))
	}
	if r.hurry {
		if child := host.sendDetached(elements, append(together, removeLeaving())...); child != 0 && gone(r.hosts, child) {
			return nil
		}
	}
	if err := host.send(requests...); !isKernel(err, unix.ENODEV) {
		return err
	}
	return nil
}

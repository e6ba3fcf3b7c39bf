package main

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// remains is what exists, or may exist, of an attachment that is being removed.
type remains struct {
	key    key
	hosts  []string
	claims []claim
	leases []held
	// hurry is set for a DEL, which removes links in a child process. The sweep must not: it may be the parent that
	// its children need to the end.
	hurry bool
}

// recorded returns what a record names.
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
			// the plugin was killed between lease and record
			r.leases = append(r.leases, leases{conf.LeaseDir}.of(r.key, one.Network)...)
			continue
		}
		for _, address := range leasable(one.Addresses) {
			r.leases = append(r.leases, held{one.Network, address, r.key})
		}
	}
	return r
}

// mostNetworks is how many networks a container can ask for.
const mostNetworks = 16

// beside returns the names that a container's other interfaces may have. The highest number is mostNetworks: there are 15
// beside the first, which may itself have one of the names from eth1 on.
func beside(first string) []string {
	var names []string
	for number := 1; number <= mostNetworks; number++ {
		if name := fmt.Sprintf("eth%d", number); name != first {
			names = append(names, name)
		}
	}
	return names
}

// unrecorded finds what a missing record would name: links, whose names are computed from the container's key, and
// leases that name the container. It leaves out what the container's other records name.
func unrecorded(conf *config, k key) (*remains, error) {
	others, whole, err := recordsIn(conf.StateDir).hostsBeside(k)
	if err != nil {
		return nil, err
	}
	r := &remains{key: k}
	store := leases{conf.LeaseDir}
	for _, network := range store.networks() {
		// a lease of that holder in any other network belongs to another plugin
		if its := store.of(k, network); len(its) > 0 && ours(network) {
			r.leases = append(r.leases, its...)
		}
	}
	plugged := func(ifname string) bool {
		id := identify(k.containerID, ifname)
		if _, err := linkIndex(id.host); err != nil || others[id.host] {
			return false
		}
		r.hosts = append(r.hosts, id.host)
		r.claims = append(r.claims, claim{id.host, id.innerMAC, linkLocal(id.innerMAC)})
		for _, one := range r.leases {
			r.claims = append(r.claims, claim{id.host, id.innerMAC, one.address})
		}
		return true
	}
	leased := len(r.leases) > 0
	if !whole && !leased {
		// the link of that name may belong to the other record, because an attachment of its own would have leases
		return r, nil
	}
	if there := plugged(k.ifname); whole && (there || leased) {
		for _, name := range beside(k.ifname) {
			plugged(name)
		}
	}
	return r, nil
}

// hostsBeside returns the links that the container's other records name. whole is false if one cannot be read.
func (r records) hostsBeside(k key) (hosts map[string]bool, whole bool, err error) {
	files, err := filepath.Glob(r.path(key{k.containerID, "*"}))
	hosts, whole = map[string]bool{}, true
	for _, path := range files {
		if path == r.path(k) {
			continue
		}
		record, err := readRecord(path)
		if err != nil {
			whole = false
		}
		if record == nil {
			continue
		}
		for _, one := range record.Interfaces {
			hosts[one.Host] = true
		}
	}
	return hosts, whole, err
}

// ours tells whether a network belongs to this node, that is, whether the agent made its bridge.
func ours(network string) bool {
	bridge, err := netlink.LinkByName(bridgePrefix + network)
	return err == nil && bridge.Type() == "bridge" && bridge.Attrs().Alias == alias
}

// undo removes links, elements, leases and, once all of these are gone, the record. The links go first, because an
// address may be leased again only when no container has it any more.
func (r *remains) undo(conf *config) error {
	elements, err := forbid(r.claims)
	if err != nil {
		// without the port these elements permit nothing, and the agent removes what is left
		warn("the elements of %s could not be removed: %v", r.key, err)
	}
	if elements != nil {
		defer elements.close()
	}
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

// unplug removes the links. For a DEL it does not wait until the kernel has released them.
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
	if r.hurry && elements != nil {
		if child := host.sendDetached(elements, append(together, removeLeaving())...); child != 0 && waitUntilGone(r.hosts, child) {
			return nil
		}
	}
	if err := host.send(requests...); !isKernel(err, unix.ENODEV) {
		return err
	}
	return nil
}

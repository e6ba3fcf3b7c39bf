package main

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/vishvananda/netlink"
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

// unrecorded works out from what there is what a record would say: from the names of links, which follow from the
// container's, and from the leases that bear its name. What the container's other records name is theirs.
func unrecorded(conf *config, k key) (*remains, error) {
	others, whole, err := recordsIn(conf.StateDir).hostsBeside(k)
	if err != nil {
		return nil, err
	}
	r := &remains{key: k}
	store := leases{conf.LeaseDir}
	for _, network := range store.networks() {
		// in all others a lease of that name is another plugin's
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
		// the link of that name may be what the other record told of: an attachment of its own would have leases
		return r, nil
	}
	if there := plugged(k.ifname); whole && (there || leased) {
		for _, name := range beside(k.ifname) {
			plugged(name)
		}
	}
	return r, nil
}

// hostsBeside are the links that the container's other records name: not the whole of them where one cannot be read.
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

// ours tells whether it is a network of this node: whether the bridge of that name is the agent's.
func ours(network string) bool {
	bridge, err := netlink.LinkByName(bridgePrefix + network)
	return err == nil && bridge.Type() == "bridge" && bridge.Attrs().Alias == alias
}

// undo removes links, elements, leases and, once all of that is gone, the record. The links go first: an address may be
// leased again only when nobody has it any more.
func (r *remains) undo(conf *config) error {
	elements, err := forbid(r.claims)
	if err != nil {
		// they let nobody do anything once the port is gone, and the agent removes what is left
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
	if r.hurry && elements != nil {
		if child := host.sendDetached(elements, append(together, removeLeaving())...); child != 0 && gone(r.hosts, child) {
			return nil
		}
	}
	if err := host.send(requests...); !isKernel(err, unix.ENODEV) {
		return err
	}
	return nil
}

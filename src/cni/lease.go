package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/allocator"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/disk"
)

// leases are in host-local's store: a directory for each network, and in it a file for each address that names its
// holder. So both plugins never lease the same address.
type leases struct{ dir string }

// lease is an address with the prefix length of its subnet.
type lease struct {
	prefix  netip.Prefix
	gateway netip.Addr
}

const subnetFull = 105

// take leases an address of each family. The leases that it returns with an error are taken, too.
func (l leases) take(network string, ranges []addressRange, k key) ([]lease, error) {
	opened, err := disk.New(network, l.dir)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	store := quick{opened, filepath.Join(l.dir, network)}
	var taken []lease
	for at, set := range byFamily(ranges) {
		if err := set.Canonicalize(); err != nil {
			return taken, fmt.Errorf("network %s: %w", network, err)
		}
		got, err := allocator.NewIPAllocator(&set, store, at).Get(k.containerID, k.ifname, nil)
		if err != nil {
			if strings.HasPrefix(err.Error(), "no IP addresses available") {
				return taken, l.full(network, set)
			}
			return taken, fmt.Errorf("network %s: lease in %s: %w", network, filepath.Join(l.dir, network), err)
		}
		address, _ := netip.AddrFromSlice(got.Address.IP)
		gateway, _ := netip.AddrFromSlice(got.Gateway)
		length, _ := got.Address.Mask.Size()
		taken = append(taken, lease{netip.PrefixFrom(address.Unmap(), length), gateway.Unmap()})
	}
	return taken, nil
}

// quick is host-local's store with two steps replaced.
type quick struct {
	*disk.Store
	dir string
}

// GetByID would read all files to find the container's former lease. Here the record names it.
func (quick) GetByID(string, string) []net.IP { return nil }

// Reserve writes what host-local writes. But it does not empty the file of the last reservation before writing it:
// ext4 would then wait for the disk, longer than the kernel takes to make a link.
func (q quick) Reserve(id, ifname string, ip net.IP, rangeID string) (bool, error) {
	path := filepath.Join(q.dir, ip.String())
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = file.WriteString(key{id, ifname}.lease())
	if err = join(err, file.Close()); err == nil {
		err = overwrite(filepath.Join(q.dir, "last_reserved_ip."+rangeID), ip.String())
	}
	if err != nil {
		os.Remove(path)
		return false, err
	}
	return true, nil
}

func overwrite(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if before, failed := file.Stat(); failed == nil && before.Size() > int64(len(text)) {
		err = join(err, file.Truncate(int64(len(text))))
	}
	return join(err, file.Close())
}

// byFamily makes host-local's range sets, ordered by the first range of each family. host-local's store numbers them
// in this order.
func byFamily(ranges []addressRange) []allocator.RangeSet {
	var sets []allocator.RangeSet
	place := map[bool]int{}
	for _, part := range ranges {
		at, known := place[part.Gateway.Is4()]
		if !known {
			at = len(sets)
			place[part.Gateway.Is4()] = at
			sets = append(sets, nil)
		}
		sets[at] = append(sets[at], allocator.Range{Subnet: types.IPNet(*ipNet(part.Subnet)), Gateway: part.Gateway.AsSlice()})
	}
	return sets
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	address := prefix.Addr()
	return &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(prefix.Bits(), address.BitLen())}
}

// full returns the error for a subnet without a free address, with advice.
func (l leases) full(network string, set allocator.RangeSet) error {
	var subnets []string
	for _, part := range set {
		subnets = append(subnets, (*net.IPNet)(&part.Subnet).String())
	}
	count := 0
	for _, found := range l.list(network) {
		if set.Contains(found.address.AsSlice()) {
			count++
		}
	}
	return types.NewError(subnetFull, fmt.Sprintf(
		"network %s: no address is left on this node: all %d of %s are leased; run fewer containers of it here, or give the network larger blocks",
		network, count, strings.Join(subnets, ", ")), "")
}

// isFull tells whether err says that a subnet has no address left.
func isFull(err error) bool {
	said := (*types.Error)(nil)
	return errors.As(err, &said) && said.Code == subnetFull
}

// held is a lease as stored on disk. Its key is empty if the file cannot be understood.
type held struct {
	network string
	address netip.Addr
	key     key
}

func (h held) path(l leases) string { return filepath.Join(l.dir, h.network, h.address.String()) }

// list returns all leases of a network.
func (l leases) list(network string) []held {
	files, err := os.ReadDir(filepath.Join(l.dir, network))
	if err != nil {
		return nil
	}
	var found []held
	for _, file := range files {
		address, err := netip.ParseAddr(file.Name())
		if err != nil {
			continue // the lock file, and the address leased last
		}
		text, err := os.ReadFile(filepath.Join(l.dir, network, file.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just been released
		}
		found = append(found, held{network, address, parseHolder(text)})
	}
	return found
}

// lease renders what host-local writes into the file of an address.
func (k key) lease() string { return k.containerID + disk.LineBreak + k.ifname }

// parseHolder reads what host-local writes: the container's ID and, on the next line, the interface.
func parseHolder(text []byte) key {
	id, ifname, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	holder := key{strings.TrimSpace(id), strings.TrimSpace(ifname)}
	if strings.ContainsFunc(holder.containerID+holder.ifname, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return key{}
	}
	return holder
}

// networks returns the names of all networks with leases here, including other plugins' networks.
func (l leases) networks() []string {
	dirs, _ := os.ReadDir(l.dir)
	var names []string
	for _, dir := range dirs {
		if dir.IsDir() {
			names = append(names, dir.Name())
		}
	}
	return names
}

// release frees the addresses that a record names, unless a lease names another holder.
func (l leases) release(network string, addresses []netip.Addr, k key) error {
	if len(addresses) == 0 {
		return nil
	}
	return l.locked(network, func() error {
		var failed error
		for _, address := range addresses {
			path := held{network: network, address: address}.path(l)
			text, err := os.ReadFile(path)
			// a file that names no holder would block the address for ever
			if holder := parseHolder(text); err == nil && (holder == k || holder == key{}) {
				err = os.Remove(path)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = join(failed, err)
			}
		}
		return failed
	})
}

// of returns the holder's leases in these networks, by reading all leases.
func (l leases) of(k key, networks ...string) []held {
	var its []held
	for _, network := range networks {
		for _, one := range l.list(network) {
			if one.key == k {
				its = append(its, one)
			}
		}
	}
	return its
}

// holds tells whether the address is leased to this holder.
func (l leases) holds(network string, address netip.Addr, k key) bool {
	text, err := os.ReadFile(held{network: network, address: address}.path(l))
	return err == nil && parseHolder(text) == k
}

// locked runs work while no other process takes or releases leases of the network.
func (l leases) locked(network string, work func() error) error {
	if _, err := os.Stat(filepath.Join(l.dir, network)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := disk.NewFileLock(filepath.Join(l.dir, network))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Unlock()
	return work()
}

// leasable leaves out link-local addresses, which are never leased.
func leasable(addresses []netip.Addr) []netip.Addr {
	var all []netip.Addr
	for _, address := range addresses {
		if !address.IsLinkLocalUnicast() {
			all = append(all, address)
		}
	}
	return all
}

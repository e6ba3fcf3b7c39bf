package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/vishvananda/netlink"
)

// judgeLeases frees leases that no record names and that cannot be in use. Such a lease may also belong to a container
// of the standard plugins, which has a port on the network's bridge. So all these leases are kept while any port has no
// record.
func (r *reaper) judgeLeases(orphans []held, explained map[string]bool) error {
	if len(orphans) == 0 {
		return nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	bridges := map[string]int{}
	unexplained := map[int]bool{}
	for _, link := range links {
		attrs := link.Attrs()
		if link.Type() == "bridge" && attrs.Alias == alias {
			bridges[attrs.Name] = attrs.Index
		}
		if attrs.MasterIndex != 0 && !explained[attrs.Name] {
			unexplained[attrs.MasterIndex] = true
		}
	}
	var failed error
	for _, orphan := range orphans {
		// without the bridge the network is not ours, or does not exist yet
		bridge, ours := bridges[bridgePrefix+orphan.network]
		if !ours || unexplained[bridge] || r.valid[orphan.key] {
			continue
		}
		failed = join(failed, r.freeOrphan(orphan))
	}
	return failed
}

func (r *reaper) freeOrphan(orphan held) error {
	store := leases{r.conf.LeaseDir}
	owner, err := r.ownerOf(orphan)
	if err != nil {
		return err
	}
	if owner != nil {
		return r.restore(orphan, owner.key())
	}
	if orphan.key == (key{}) {
		return store.locked(orphan.network, func() error {
			text, err := os.ReadFile(orphan.path(store))
			if errors.Is(err, fs.ErrNotExist) || err == nil && parseHolder(text) != (key{}) {
				return nil
			}
			setAside(orphan.path(store), fmt.Errorf("the lease %s names no container", orphan.path(store)))
			return err
		})
	}
	records := recordsIn(r.conf.StateDir)
	lock, err := records.lock(orphan.key, false)
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.release()
	if record, err := records.read(orphan.key); record != nil || err != nil {
		return nil
	}
	left := &remains{key: orphan.key, leases: []held{orphan}}
	if err := left.undo(r.conf); err != nil {
		return err
	}
	r.freed = append(r.freed, orphan.network+"/"+orphan.address.String())
	return nil
}

// ownerOf returns the record of a live container that has the leased address, or nil.
func (r *reaper) ownerOf(orphan held) (*attachment, error) {
	records, err := recordsIn(r.conf.StateDir).all(func(string, error) {})
	for _, record := range records {
		if record.has(orphan) {
			return record, err
		}
	}
	return nil, err
}

// restore rewrites a lease whose file names no container, or another one than the address belongs to. Otherwise the
// address would be leased again.
func (r *reaper) restore(orphan held, owner key) error {
	store := leases{r.conf.LeaseDir}
	return recordsIn(r.conf.StateDir).unlessAtWork(owner, func(record *attachment) error {
		if !record.has(orphan) {
			return nil
		}
		return store.locked(orphan.network, func() error {
			path := orphan.path(store)
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) || err == nil && parseHolder(text) != orphan.key {
				return nil
			}
			if err = join(err, overwrite(path, owner.lease())); err == nil {
				warn("the lease %s did not name the container that has the address; written again for %s", path, owner)
			}
			return err
		})
	})
}

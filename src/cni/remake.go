package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// remakeWiped remakes the leases of a network whose directory is empty or gone, as after a wipe by hand. The next
// process that takes a lease waits for the same lock, so it finds them complete or has no need to look.
func remakeWiped(conf *config, network string) error {
	store := leases{conf.LeaseDir}
	wiped := func() bool {
		_, err := os.Stat(filepath.Join(conf.LeaseDir, network, "last_reserved_ip.0"))
		return errors.Is(err, fs.ErrNotExist)
	}
	if !wiped() {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(conf.LeaseDir, network), 0o755); err != nil {
		return err
	}
	return store.locked(network, func() error {
		if !wiped() {
			return nil
		}
		records, err := recordsIn(conf.StateDir).all(func(string, error) {})
		for _, record := range records {
			err = join(err, store.writeMissing(network, record))
		}
		return err
	})
}

// remake rewrites leases whose files were removed while their container exists. Otherwise the addresses would be
// given to another container.
func remake(conf *config, record *attachment) error {
	store := leases{conf.LeaseDir}
	var failed error
	for _, one := range record.Interfaces {
		if len(store.missing(one.Network, record)) == 0 {
			continue
		}
		err := os.MkdirAll(filepath.Join(conf.LeaseDir, one.Network), 0o755)
		if err == nil {
			err = store.locked(one.Network, func() error {
				again, err := recordsIn(conf.StateDir).read(record.key())
				if again == nil || err != nil {
					return err
				}
				return store.writeMissing(one.Network, again)
			})
		}
		failed = join(failed, err)
	}
	return failed
}

// missing returns a container's leases in one network that have no file although its link exists.
func (l leases) missing(network string, record *attachment) []held {
	var missing []held
	for _, one := range record.Interfaces {
		if one.Network != network {
			continue
		}
		if _, err := linkIndex(one.Host); err != nil {
			continue
		}
		for _, address := range leasable(one.Addresses) {
			lease := held{one.Network, address, record.key()}
			if _, err := os.Stat(lease.path(l)); errors.Is(err, fs.ErrNotExist) {
				missing = append(missing, lease)
			}
		}
	}
	return missing
}

// writeMissing writes the missing leases; the caller holds the network's lock. It does not take the record's lock:
// another process may hold that while it reads or writes, and the address would be given away meanwhile. A DEL that
// works on the record removes the link before it waits for this lock to remove the lease.
func (l leases) writeMissing(network string, record *attachment) error {
	var failed error
	for _, lease := range l.missing(network, record) {
		path := lease.path(l)
		if err := os.WriteFile(path, []byte(lease.key.lease()), 0o600); err != nil {
			failed = join(failed, err)
			continue
		}
		warn("the lease %s was gone while its container is there; written again for %s", path, lease.key)
	}
	return failed
}

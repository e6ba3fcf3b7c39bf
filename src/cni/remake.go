package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// remakeWiped looks for leases to remake where a network's directory is empty or gone, as after a wipe by hand.
func remakeWiped(conf *config, network string) error {
	last := filepath.Join(conf.LeaseDir, network, "last_reserved_ip.0")
	if _, err := os.Stat(last); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	records, err := recordsIn(conf.StateDir).all(func(string, error) {})
	for _, record := range records {
		err = join(err, remake(conf, record))
	}
	return err
}

// remake writes leases again whose files somebody has removed while their container is there: otherwise the addresses
// would be given to another one.
func remake(conf *config, record *attachment) error {
	store := leases{conf.LeaseDir}
	var removed []held
	for _, one := range record.Interfaces {
		if _, err := linkIndex(one.Host); err != nil {
			continue
		}
		for _, address := range leasable(one.Addresses) {
			lease := held{one.Network, address, record.key()}
			if _, err := os.Stat(lease.path(store)); errors.Is(err, fs.ErrNotExist) {
				removed = append(removed, lease)
			}
		}
	}
	if len(removed) == 0 {
		return nil
	}
	return recordsIn(conf.StateDir).unlessAtWork(record.key(), func(record *attachment) error {
		var failed error
		for _, lease := range removed {
			if record.has(lease) {
				failed = join(failed, store.write(lease))
			}
		}
		return failed
	})
}

// write makes the file of a lease, unless there is one.
func (l leases) write(lease held) error {
	path := lease.path(l)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return l.locked(lease.network, func() error {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = file.WriteString(lease.key.lease())
		if err = join(err, file.Close()); err == nil {
			warn("the lease %s was gone while its container is there; written again for %s", path, lease.key)
		}
		return err
	})
}

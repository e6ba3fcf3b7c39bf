package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// attachment records one container's stay on our networks. It is written before anything is made and stays until
// everything is removed. The agent reads it too.
type attachment struct {
	Version     int               `json:"version"`
	Conflist    string            `json:"conflist"`
	ContainerID string            `json:"containerID"`
	IfName      string            `json:"ifname"`
	Netns       string            `json:"netns"`
	Namespace   string            `json:"namespace,omitempty"`
	Pod         string            `json:"pod,omitempty"`
	Interfaces  []attachedNetwork `json:"interfaces"`
}

type attachedNetwork struct {
	Network string `json:"network"`
	// Name is the interface's name in the container, Host the name of its other end in the node.
	Name   string `json:"name"`
	Host   string `json:"host"`
	MAC    string `json:"mac"`
	Bridge string `json:"bridge"`
	// Addresses is empty until they are leased.
	Addresses []netip.Addr `json:"addresses"`
}

func (a *attachment) key() key { return key{a.ContainerID, a.IfName} }

// leased tells whether the record names every lease. It is written again once all are taken.
func (a *attachment) leased() bool {
	for _, one := range a.Interfaces {
		if len(one.Addresses) == 0 {
			return false
		}
	}
	return true
}

// networks returns their names for a message: `dcos, dual`.
func (a *attachment) networks() string {
	names := ""
	for at, one := range a.Interfaces {
		if at > 0 {
			names += ", "
		}
		names += one.Network
	}
	return names
}

// has tells whether the lease is for an address of this attachment.
func (a *attachment) has(lease held) bool {
	for _, one := range a.Interfaces {
		if one.Network == lease.network && slices.Contains(one.Addresses, lease.address) {
			return true
		}
	}
	return false
}

// identity holds the names and MAC addresses of a container's links. It is computed from the container's key, so it
// can be found without a record and is the same when an ADD is retried.
type identity struct {
	host              string
	hostMAC, innerMAC net.HardwareAddr
}

func identify(containerID, ifname string) identity {
	sum := sha256.Sum256([]byte(containerID + "/" + ifname))
	mac := func(first byte) net.HardwareAddr { return append(net.HardwareAddr{first}, sum[6:11]...) }
	// locally administered; the node's end gets the higher one, because a bridge without its own MAC address takes
	// the lowest
	return identity{portPrefix + hex.EncodeToString(sum[:6]), mac(0xfe), mac(0x0a)}
}

// linkLocal returns the link-local address of a MAC address (RFC 4291, appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0xfe, 0x80, 8: mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5],
	})
}

// records are the node's attachments, one file each.
type records struct{ dir string }

func recordsIn(stateDir string) records { return records{filepath.Join(stateDir, "attachments")} }

// file is the name of a record and of its lock. Neither part may contain a colon, so no two attachments share a name.
func (k key) file() string { return k.containerID + ":" + k.ifname }

func (r records) path(k key) string { return filepath.Join(r.dir, k.file()+".json") }

var errCorrupt = errors.New("is corrupt")

// read returns nil if there is no record, and errCorrupt if the file is not a valid one.
func (r records) read(k key) (*attachment, error) {
	record, err := readRecord(r.path(k))
	if record != nil && record.key() != k {
		return nil, fmt.Errorf("%s %w: it is of %s", r.path(k), errCorrupt, record.key())
	}
	return record, err
}

func readRecord(path string) (*attachment, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var record attachment
	if err := json.Unmarshal(text, &record); err != nil {
		return nil, fmt.Errorf("%s %w: %v", path, errCorrupt, err)
	}
	if record.Version != 1 || record.ContainerID == "" || record.IfName == "" {
		return nil, fmt.Errorf("%s %w: it is no record of version 1", path, errCorrupt)
	}
	for _, one := range record.Interfaces {
		mac, err := net.ParseMAC(one.MAC)
		if one.Network != filepath.Base(one.Network) || one.Network == ".." || !isHostName(one.Host) || err != nil || len(mac) != 6 {
			return nil, fmt.Errorf("%s %w: network %q, host %q, mac %q", path, errCorrupt, one.Network, one.Host, one.MAC)
		}
	}
	return &record, nil
}

func isHostName(name string) bool {
	digits, is := strings.CutPrefix(name, portPrefix)
	_, err := hex.DecodeString(digits)
	return is && err == nil && len(digits) == 12
}

// write replaces the file atomically or leaves it unchanged. It does not sync: a node that loses power loses its
// containers too, and the sweep frees whatever no record names.
func (r records) write(record *attachment) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	path := r.path(record.key())
	temporary := filepath.Join(r.dir, "."+filepath.Base(path))
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func (r records) remove(k key) error {
	if err := os.Remove(r.path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// all returns every record that can be read; paths of the others go to corrupt.
func (r records) all(corrupt func(path string, err error)) ([]*attachment, error) {
	files, err := filepath.Glob(filepath.Join(r.dir, "[^.]*.json"))
	var found []*attachment
	for _, path := range files {
		record, err := readRecord(path)
		switch {
		case err != nil:
			corrupt(path, err)
		case record != nil:
			found = append(found, record)
		}
	}
	return found, err
}

// setAside moves an unusable file out of the way, so that a person can look at it.
func setAside(path string, why error) {
	aside := path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000")
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		warn("%v; it cannot be kept aside: %v", why, err)
		return
	}
	warn("%v; kept aside as %s", why, aside)
}

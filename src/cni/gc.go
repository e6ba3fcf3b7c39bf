package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
)

// collect frees attachments of this conflist that are not in the runtime's list.
func collect(args *skel.CmdArgs) error {
	conf, err := parseDirectories(args.StdinData)
	if err != nil {
		return err
	}
	valid, err := validAttachments(args.StdinData)
	if err != nil {
		return err
	}
	r := &reaper{conf: conf, conflist: conf.Name, valid: valid}
	if err := r.reap(); err != nil {
		return types.NewError(types.ErrInternal, "not everything stale could be freed", err.Error())
	}
	return nil
}

// validAttachments returns the runtime's list. An absent list is an error, because an empty one frees every
// container's addresses. The library of CNI 1.2 used the second name for it.
func validAttachments(text []byte) (map[key]bool, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "the network configuration cannot be read", err.Error())
	}
	for _, name := range []string{"cni.dev/valid-attachments", "cni.dev/attachments"} {
		if keys[name] == nil {
			continue
		}
		var list []types.GCAttachment
		if err := json.Unmarshal(keys[name], &list); err != nil {
			return nil, invalidConfig("%s is no list of attachments: %v", name, err)
		}
		valid := map[key]bool{}
		for _, one := range list {
			valid[key{one.ContainerID, one.IfName}] = true
		}
		return valid, nil
	}
	return nil, invalidConfig("cni.dev/valid-attachments is missing, which tells what must not be freed")
}

// swept is what sweep prints, for the agent.
type swept struct {
	Freed []string `json:"freed"`
	Kept  int      `json:"kept"`
}

// sweep frees what stopped containers of all conflists left in the kernel and on disk, for example before a reboot. It
// prints what it freed and how many attachments it kept.
func sweep(args []string, out io.Writer) error {
	conf := &config{}
	flags := flag.NewFlagSet("sweep", flag.ContinueOnError)
	flags.StringVar(&conf.StateDir, "state-dir", defaultStateDir, "where the attachments are written down")
	flags.StringVar(&conf.LeaseDir, "lease-dir", defaultLeaseDir, "where host-local keeps the leases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	r := &reaper{conf: conf, freed: []string{}}
	failed := join(r.reap(), sweepProbes())
	line, err := json.Marshal(swept{r.freed, r.kept})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, string(line))
	return join(failed, err)
}

// reaper frees unused attachments. The runtime's list and the kernel decide which are in use.
type reaper struct {
	conf *config
	// conflist is the one whose attachments the runtime listed in valid; empty when there is no such list.
	conflist string
	valid    map[key]bool

	freed []string
	kept  int
}

// reap continues after failures. The order of reading matters: a container that starts meanwhile has its record
// before its lease and its port, so neither is ever seen without the record.
func (r *reaper) reap() error {
	store := leases{r.conf.LeaseDir}
	var leased []held
	for _, network := range store.networks() {
		leased = append(leased, store.list(network)...)
	}
	corrupt := map[string]error{}
	records, err := recordsIn(r.conf.StateDir).all(func(path string, why error) { corrupt[path] = why })
	if err != nil {
		return err
	}
	for path, why := range corrupt {
		r.keepAside(path, why)
	}
	r.removeUnfinished()
	recorded, hosts := map[key]bool{}, map[string]bool{}
	var failed error
	for _, record := range records {
		recorded[record.key()] = true
		for _, one := range record.Interfaces {
			hosts[one.Host] = true
		}
		if err := r.judge(record); err != nil {
			failed = join(failed, fmt.Errorf("%s: %w", record.key(), err))
		}
	}
	var unrecorded []held
	for _, one := range leased {
		if !recorded[one.key] {
			unrecorded = append(unrecorded, one)
		}
	}
	return join(failed, r.judgeLeases(unrecorded, hosts))
}

// judge frees an attachment unless it is in use or another process works on it.
func (r *reaper) judge(record *attachment) error {
	if r.keeps(record) {
		r.kept++
		return remake(r.conf, record)
	}
	store := recordsIn(r.conf.StateDir)
	lock, err := store.lock(record.key(), false)
	if errors.Is(err, errLocked) {
		r.kept++
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.release()
	// read once more, now that the lock keeps others from changing it
	record, err = store.read(record.key())
	if err != nil || record == nil {
		return err
	}
	if r.keeps(record) {
		r.kept++
		return nil
	}
	if err := recorded(r.conf, record).undo(r.conf); err != nil {
		return err
	}
	r.freed = append(r.freed, record.key().String())
	return nil
}

// keeps tells whether the attachment may be in use. The runtime decides about its own, the kernel about all others.
func (r *reaper) keeps(record *attachment) bool {
	if r.valid[record.key()] {
		return true
	}
	if r.conflist != "" && record.Conflist == r.conflist {
		return false
	}
	for _, one := range record.Interfaces {
		if _, err := linkIndex(one.Host); err == nil {
			return true
		}
	}
	return false
}

// keepAside sets an unreadable record aside, unless another process works on it. While its container exists, the record
// stays: it tells the agent that there is an unknown container, whose permitted addresses must stay.
func (r *reaper) keepAside(path string, why error) {
	name := strings.TrimSuffix(filepath.Base(path), ".json")
	if hasPort(name) {
		r.kept++
		warn("%v; kept, since its container is there; DEL removes both", why)
		return
	}
	lock, err := recordsIn(r.conf.StateDir).lockName(name, false)
	if err != nil {
		return
	}
	defer lock.release()
	if _, again := readRecord(path); errors.Is(again, errCorrupt) {
		setAside(path, why)
	}
}

// hasPort tells whether the kernel has the port of the attachment whose record has this name.
func hasPort(name string) bool {
	containerID, ifname, _ := strings.Cut(name, ":")
	_, err := linkIndex(identify(containerID, ifname).host)
	return err == nil
}

// removeUnfinished removes temporary files whose writer was killed.
func (r *reaper) removeUnfinished() {
	store := recordsIn(r.conf.StateDir)
	files, _ := filepath.Glob(filepath.Join(store.dir, ".*.json"))
	for _, path := range files {
		name := filepath.Base(path)
		if lock, err := store.lockName(name[1:len(name)-len(".json")], false); err == nil {
			os.Remove(path)
			lock.release()
		}
	}
}

package main

import (
	"errors"

	"github.com/containernetworking/cni/pkg/skel"
)

// del undoes an attachment without the agent. It may be repeated, and parts of the attachment may be missing already.
func del(args *skel.CmdArgs) error {
	k, err := keyOf(args)
	if err != nil {
		return err
	}
	conf, err := parseDirectories(args.StdinData)
	if err != nil {
		return err
	}
	store := recordsIn(conf.StateDir)
	lock, err := store.lock(k, true)
	if err != nil {
		return err
	}
	defer lock.release()
	var left *remains
	record, err := store.read(k)
	switch {
	case errors.Is(err, errCorrupt):
		setAside(store.path(k), err)
	case err != nil:
		return err
	case record != nil:
		left = recorded(conf, record)
	}
	if left == nil {
		if left, err = unrecorded(conf, k); err != nil {
			return err
		}
	}
	left.hurry = true
	return left.undo(conf)
}

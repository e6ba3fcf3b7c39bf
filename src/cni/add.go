package main

import (
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/skel"
)

// add attaches a container to the networks that the agent names. If anything fails, everything is undone.
func add(args *skel.CmdArgs) error {
	k, err := keyOf(args)
	if err != nil {
		return err
	}
	conf, err := parseConfig(args.StdinData)
	if err != nil {
		return err
	}
	who, err := parsePod(args.Args)
	if err != nil {
		return err
	}
	before, err := previous(conf)
	if err != nil {
		return err
	}
	inside, err := openSandbox(args.Netns)
	if err != nil {
		return err
	}
	defer inside.close()
	lock, err := recordsIn(conf.StateDir).lock(k, true)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := makeRoom(conf, k); err != nil {
		return err
	}
	networks, err := ask(conf.Socket, question{
		ContainerID: k.containerID, IfName: k.ifname, Namespace: who.namespace, Pod: who.name,
		Annotation: conf.RuntimeConfig.Annotations.of[networkAnnotation],
		Annotated:  conf.RuntimeConfig.Annotations.delivered, Network: conf.Network,
	})
	if err != nil {
		return err
	}
	record := &attachment{
		Version: 1, Conflist: conf.Name, ContainerID: k.containerID, IfName: k.ifname, Netns: args.Netns,
		Namespace: who.namespace, Pod: who.name,
	}
	m := &making{conf: conf, record: record, inside: inside, made: &remains{key: k}}
	if err := m.all(networks); err != nil {
		return m.undone(err)
	}
	result := resultOf(before, m.ports, args.Netns)
	if err := printResult(result, conf.CNIVersion); err != nil {
		return m.undone(err)
	}
	return nil
}

// makeRoom refuses an attachment that exists already. Remains of one with an unusable record are removed.
func makeRoom(conf *config, k key) error {
	store := recordsIn(conf.StateDir)
	record, err := store.read(k)
	if errors.Is(err, errCorrupt) {
		if _, there := linkIndex(identify(k.containerID, k.ifname).host); there == nil {
			return fmt.Errorf("%s is attached already, and its record cannot be read: DEL it first: %w", k, err)
		}
		setAside(store.path(k), err)
		left, err := unrecorded(conf, k)
		if err != nil {
			return err
		}
		return left.undo(conf)
	}
	if err != nil {
		return err
	}
	if record != nil {
		return fmt.Errorf("%s is attached already, to %s: DEL it first", k, record.networks())
	}
	return nil
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// sandbox is a container's network namespace.
type sandbox struct{ file *os.File }

// openSandbox refuses a file that is no network namespace, and the namespace of this process.
func openSandbox(path string) (*sandbox, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, types.NewError(types.ErrUnknownContainer, fmt.Sprintf("CNI_NETNS: the network namespace %s does not exist", path), "")
	}
	if err != nil {
		return nil, invalidVariable("CNI_NETNS", "%v", err)
	}
	var kind unix.Statfs_t
	var inside, outside unix.Stat_t
	fd := int(file.Fd())
	if err := unix.Fstatfs(fd, &kind); err != nil || kind.Type != unix.NSFS_MAGIC {
		file.Close()
		return nil, invalidVariable("CNI_NETNS", "%s is no network namespace", path)
	}
	if unix.Fstat(fd, &inside) != nil || unix.Stat("/proc/thread-self/ns/net", &outside) != nil || inside.Ino == outside.Ino {
		file.Close()
		return nil, invalidVariable("CNI_NETNS", "%s is the node's own network namespace", path)
	}
	return &sandbox{file}, nil
}

func (s *sandbox) close() { s.file.Close() }

// enter runs work in the namespace. Netlink sockets and sysctls belong to the namespace of the thread that opens
// them.
func (s *sandbox) enter(work func(*conn) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	outside, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer outside.Close()
	if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", s.file.Name(), err)
	}
	defer func() {
		if err := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); err != nil {
			// anything done from here on would happen in the container; the record names what was made, for DEL and
			// GC
			warn("leave %s: %v", s.file.Name(), err)
			os.Exit(1)
		}
	}()
	c, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.close()
	return work(c)
}

// sysctl sets an IPv6 parameter of an interface, unless it has that value already. For some parameters the kernel
// tries repeatedly to get a lock, which slows down everything else that needs it. Without IPv6 in the kernel there is
// nothing to set.
func sysctl(ifname, parameter, value string) error {
	path := filepath.Join("/proc/sys/net/ipv6/conf", ifname, parameter)
	is, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(is)) != value {
		err = os.WriteFile(path, []byte(value), 0)
	}
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

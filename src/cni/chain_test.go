package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	current "github.com/containernetworking/cni/pkg/types/100"

	"os/exec"

	"golang.org/x/sys/unix"
)

// do runs work in a thread of the namespace.
func (ns *netns) do(work func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open(ns.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = work()
		}
		done <- err
	}()
	return <-done
}

// cnitool runs the CNI project's own tool, and thus its library, on a conflist.
func (n *node) cnitool(c *container, capabilities string, words ...string) (string, error) {
	cmd := exec.Command(standardPlugin(n.t, "cnitool"), words...)
	cmd.Args = append(cmd.Args, n.conflist)
	path := "/var/run/none"
	if c != nil {
		path = c.path
	}
	cmd.Args = append(cmd.Args, path)
	cmd.Env = append(os.Environ(), "NETCONFPATH="+filepath.Join(n.dir, "net.d"), "CAP_ARGS="+capabilities,
		"CNI_PATH="+filepath.Dir(plugin)+":"+os.Getenv("CNI_PATH"))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.start(cmd); err != nil {
		n.t.Fatal(err)
	}
	err := cmd.Wait()
	return out.String(), err
}

// conflistFile writes a conflist as the agent does.
func (n *node) conflistFile(version string) {
	plugins := []map[string]any{
		{"type": "overlaynet", "capabilities": map[string]bool{annotationsCapability: true},
			"socket": n.agent.socket, "stateDir": n.stateDir, "leaseDir": n.leaseDir},
		{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}, "snat": true},
		{"type": "bandwidth", "capabilities": map[string]bool{"bandwidth": true}},
	}
	text, _ := json.Marshal(map[string]any{"cniVersion": version, "name": n.conflist, "plugins": plugins})
	os.MkdirAll(filepath.Join(n.dir, "net.d"), 0o755)
	if err := os.WriteFile(filepath.Join(n.dir, "net.d", "05-overlaynet.conflist"), text, 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func TestTheWholeChainInEveryVersion(t *testing.T) {
	for _, version := range versions.SupportedVersions() {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, dual)
			n.conflistFile(version)
			n.sh(t, "sysctl -q -w net.ipv4.ip_forward=1")
			server, client := n.container(), n.container()
			n.add(client)
			capabilities := `{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}],
				"bandwidth":{"ingressRate":8000000,"ingressBurst":8000000}}`
			out, err := n.cnitool(server, capabilities, "add")
			if err != nil {
				t.Fatalf("add: %s", out)
			}
			var header struct{ CNIVersion string }
			if json.Unmarshal([]byte(out), &header); header.CNIVersion != version {
				t.Errorf("a result of version %q: %s", header.CNIVersion, out)
			}
			parsed, err := current.NewResult([]byte(out))
			if err == nil && version >= "1" {
				if got := parsed.(*current.Result).IPs[0].Address.String(); got != "9.1.1.3/25" {
					t.Errorf("its address is %s", got)
				}
			}
			contains(t, out, "9.1.1.3/25", "fd01:b:0:1::3/80", "m-dual", "eth0")
			if got := n.get(client, server, "9.1.1.1:8080"); got != "hello" {
				t.Errorf("by the node's port it says %q", got)
			}
			contains(t, n.sh(t, "tc qdisc show"), "tbf")
			if version != "0.3.1" {
				if out, err := n.cnitool(server, capabilities, "check"); err != nil {
					t.Errorf("check: %s", out)
				}
			}
			if out, err := n.cnitool(server, capabilities, "del"); err != nil {
				t.Errorf("del: %s", out)
			}
			n.expectLeases("9.1.1.2", "fd01:b:0:1::2")
			if rules := n.sh(t, "iptables-save -t nat"); strings.Contains(rules, "9.1.1.3") {
				t.Errorf("rules are left: %s", rules)
			}
			n.del(client)
			n.nothingLeft()
		})
	}
}

// get lets a server in one container answer one connection from another container.
func (n *node) get(client, server *container, address string) string {
	var listener net.Listener
	if err := server.do(func() (err error) {
		listener, err = net.Listen("tcp4", ":80")
		return err
	}); err != nil {
		return err.Error()
	}
	defer listener.Close()
	go func() {
		if connection, err := listener.Accept(); err == nil {
			io.WriteString(connection, "hello")
			connection.Close()
		}
	}()
	var text []byte
	if err := client.do(func() error {
		connection, err := net.DialTimeout("tcp4", address, 3*time.Second)
		if err != nil {
			return err
		}
		defer connection.Close()
		text, err = io.ReadAll(connection)
		return err
	}); err != nil {
		return err.Error()
	}
	return string(text)
}

func TestStatusAndGCByTheLibrary(t *testing.T) {
	n := newNode(t, dual)
	n.conflistFile("1.1.0")
	if out, err := n.cnitool(nil, "{}", "status"); err == nil || !strings.Contains(out, "data path") {
		t.Errorf("status before the data path is complete: %v %s", err, out)
	}
	n.ready()
	if out, err := n.cnitool(nil, "{}", "status"); err != nil {
		t.Errorf("status: %s", out)
	}
	c := n.container()
	if out, err := n.cnitool(c, "{}", "add"); err != nil {
		t.Fatalf("add: %s", out)
	}
	other := n.container()
	n.add(other)
	// without a list the library deletes the attachments that it knows, and the plugin must free nothing
	out, err := n.cnitool(c, "{}", "gc")
	if err == nil {
		t.Error("GC without a list passes")
	}
	contains(t, out, "cni.dev/valid-attachments is missing")
	n.expectLeases("9.1.1.3", "fd01:b:0:1::3")
	other.reaches(t, "9.1.1.1")
}

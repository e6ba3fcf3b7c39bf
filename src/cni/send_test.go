package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// path is a node with the container "own" on a bridge, and a container "other" behind a second link.
type path struct {
	node, own, other *netns
	mac              string
}

func newPath(t *testing.T) *path {
	p := &path{node: newNetns(t), own: newNetns(t), other: newNetns(t)}
	for _, one := range []*netns{p.node, p.own, p.other} {
		one.sh(t, "sysctl -qw net.ipv6.conf.default.accept_dad=0")
	}
	for _, command := range []string{
		"ip link add m-dcos address 0a:00:00:00:00:01 type bridge", "ip link set m-dcos up",
		"ip address add 9.0.1.1/24 dev m-dcos", "ip address add fd01:b::1/80 dev m-dcos nodad",
		"sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv6.conf.all.forwarding=1",
	} {
		p.node.sh(t, command)
	}
	p.plug(t, p.own, "c-000000000001", "9.0.1.2/24", "fd01:b::2/80", "9.0.1.1", "fd01:b::1")
	p.node.sh(t, "ip link set c-000000000001 master m-dcos")
	p.plug(t, p.other, "far", "9.0.2.2/24", "fd01:c::2/80", "9.0.2.1", "fd01:c::1")
	p.node.sh(t, "ip address add 9.0.2.1/24 dev far")
	p.node.sh(t, "ip address add fd01:c::1/80 dev far nodad")
	for _, address := range []string{"9.0.2.2", "fd01:c::2"} {
		for at := 0; ; at++ {
			// a kernel takes up to a second to notice a carrier
			if out, err := p.own.try("ping -c 1 -w 1 -i 0.2 " + address); err == nil {
				break
			} else if at == 10 {
				t.Fatalf("%s does not answer: %s", address, out)
			}
		}
	}
	_, mac, _ := strings.Cut(p.own.sh(t, "ip -o link show eth0"), "link/ether ")
	p.mac = mac[:len("0a:00:00:00:00:01")]
	return p
}

func (p *path) plug(t *testing.T, inside *netns, host, ip, ip6, gateway, gateway6 string) {
	pid := strings.Split(strings.TrimPrefix(inside.path, "/proc/"), "/")[2]
	p.node.sh(t, fmt.Sprintf("ip link add %s type veth peer name eth0 netns %s", host, pid))
	p.node.sh(t, "ip link set "+host+" up")
	for _, command := range []string{
		"ip address add " + ip + " dev eth0", "ip address add " + ip6 + " dev eth0 nodad", "ip link set eth0 up",
		"ip route add default via " + gateway, "ip -6 route add default via " + gateway6,
	} {
		inside.sh(t, command)
	}
}

func (p *path) run(t *testing.T, command string) report {
	t.Helper()
	out, err := p.node.try(plugin + " " + command)
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	var said report
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return said
}

func (p *path) send(t *testing.T, from, to, more string) report {
	t.Helper()
	said := p.run(t, fmt.Sprintf("send --from %s --to %s --id 50123 --bridge m-dcos --mac %s %s", from, to, p.mac, more))
	if links := p.node.sh(t, "ip -o link show type veth"); strings.Contains(links, "t-") || strings.Contains(links, "u-") {
		t.Errorf("a port was left: %s", links)
	}
	return said
}

// way formats a report as one line.
func (r report) way() string {
	words := []string{}
	for _, one := range r.Seen {
		words = append(words, fmt.Sprintf("%s %s %s", one.Link, one.Direction, one.What))
	}
	return strings.Join(words, ", ")
}

func (r report) has(t *testing.T, link, direction, what, detail string) {
	t.Helper()
	for _, one := range r.Seen {
		if one.Link == link && one.Direction == direction && one.What == what && strings.Contains(one.Detail, detail) {
			return
		}
	}
	t.Errorf("no %s %s %s %q in %+v", link, direction, what, detail, r)
}

func TestSendIsAnswered(t *testing.T) {
	p := newPath(t)
	for _, one := range []struct{ from, to, more, answer string }{
		{"9.0.1.2", "9.0.2.2", "", "echo reply"},
		{"fd01:b::2", "fd01:c::2", "", "echo reply"},
		{"9.0.1.2", "9.0.2.2", "--protocol tcp --port 81", "RST"},
		{"fd01:b::2", "fd01:c::2", "--protocol tcp --port 81", "RST"},
	} {
		said := p.send(t, one.from, one.to, one.more)
		if said.Sent != 1 {
			t.Errorf("%d packets were sent where the first is answered: %+v", said.Sent, said)
		}
		said.has(t, "m-dcos", "in", "request", "")
		said.has(t, "far", "out", "request", "")
		said.has(t, "far", "in", "reply", one.answer)
		said.has(t, "m-dcos", "out", "reply", one.answer)
		said.has(t, "c-000000000001", "out", "reply", one.answer)
	}
	for _, to := range []string{"9.0.2.2", "fd01:c::2"} {
		from := map[string]string{"9.0.2.2": "9.0.1.2", "fd01:c::2": "fd01:b::2"}[to]
		p.send(t, from, to, "--protocol udp --port 81").has(t, "m-dcos", "out", "refusal", "port unreachable, from "+to)
	}
	// the bridge still has the container's MAC address at its port
	if fdb := p.node.sh(t, "bridge fdb show br m-dcos"); !strings.Contains(fdb, p.mac+" dev c-000000000001") {
		t.Errorf("the bridge learnt a wrong port: %s", fdb)
	}
}

func TestSendShowsWhereItEnds(t *testing.T) {
	p := newPath(t)
	p.node.sh(t, "iptables -A FORWARD -d 9.0.2.2 -p tcp --dport 80 -j DROP")
	said := p.send(t, "9.0.1.2", "9.0.2.2", "--protocol tcp --port 80")
	if said.Sent != most || said.way() != "m-dcos in request" {
		t.Errorf("%d sent, seen %s: %+v", said.Sent, said.way(), said)
	}
	p.node.sh(t, "iptables -I FORWARD -d 9.0.2.2 -p tcp --dport 80 -j REJECT --reject-with icmp-admin-prohibited")
	p.send(t, "9.0.1.2", "9.0.2.2", "--protocol tcp --port 80").has(t, "m-dcos", "out", "refusal", "ICMP 3/13 administratively prohibited, from 9.0.1.1")
}

func TestWatchSeesWhatAnotherSends(t *testing.T) {
	p := newPath(t)
	ended := make(chan report)
	go func() { ended <- p.run(t, "watch --from 9.0.1.2 --to 9.0.2.2 --id 50123 --wait 2s") }()
	time.Sleep(300 * time.Millisecond)
	p.send(t, "9.0.1.2", "9.0.2.2", "")
	p.own.sh(t, "ping -c 1 -w 1 9.0.2.2") // another id
	said := <-ended
	if said.Sent != 0 || strings.Count(said.way(), "far out request") != 1 || said.Seen[0].Count != 1 {
		t.Errorf("%+v", said)
	}
}

func TestSendThatWasKilledLeavesNothingForLong(t *testing.T) {
	p := newPath(t)
	p.node.sh(t, "iptables -A FORWARD -d 9.0.2.2 -j DROP")
	killed := exec.Command(plugin, "send", "--from", "9.0.1.2", "--to", "9.0.2.2", "--id", "50123", "--bridge", "m-dcos", "--mac", p.mac)
	if err := p.node.start(killed); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if strings.Contains(p.node.sh(t, "ip -o link show type veth"), " t-") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if !strings.Contains(p.node.sh(t, "ip -o link show type veth"), " t-") {
		t.Fatal("it was not killed in the middle")
	}
	p.node.sh(t, plugin+" sweep --state-dir /var/lib/none --lease-dir /var/lib/none")
	if links := p.node.sh(t, "ip -o link show type veth"); strings.Contains(links, " t-") {
		t.Errorf("sweep left %s", links)
	}
}

func TestSendRefusesBadInput(t *testing.T) {
	p := newPath(t)
	for command, words := range map[string]string{
		"send --from 9.0.1.2 --to fd01:c::2 --id 1":                                       "addresses of one family",
		"send --from 9.0.1.2 --to 9.0.2.2 --id 0":                                         "--id 0 must be from 1 to 65535",
		"send --from 9.0.1.2 --to 9.0.2.2 --id 1 --protocol sctp":                         `"sctp" must be tcp, udp or icmp`,
		"send --from 9.0.1.2 --to 9.0.2.2 --id 1 --port 80":                               "absent for icmp",
		"send --from 9.0.1.2 --to 9.0.2.2 --id 1 --protocol tcp":                          "--port 0 must be from 1",
		"watch --from 9.0.1.2 --to 9.0.2.2 --id 1 --wait 1h":                              "--wait 1h0m0s must be",
		"send --from 9.0.1.2 --to 9.0.2.2 --id 1 --mac 0a:00:00:00:00:01 --bridge m-none": "link m-none",
	} {
		if out, err := p.node.try(plugin + " " + command); err == nil || !strings.Contains(out, words) {
			t.Errorf("%s: %v, %s", command, err, out)
		}
	}
}

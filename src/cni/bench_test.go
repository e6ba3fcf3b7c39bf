package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkAttach compares ADD and DEL with the standard `bridge` and `host-local`, in turns, for one container at a
// time and for twenty, with the agent's anti-spoofing table in place. It prints a JSON line for each: test/bench/cni.ts
// reads them.
func BenchmarkAttach(b *testing.B) {
	for b.Loop() {
		for _, families := range []string{"IPv4", "dual stack"} {
			for _, atOnce := range []int{1, 20} {
				measure(b, families, atOnce, 300)
			}
		}
	}
}

type cost struct {
	Families string  `json:"families"`
	AtOnce   int     `json:"atOnce"`
	Command  string  `json:"command"`
	Plugin   string  `json:"plugin"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
}

func measure(b *testing.B, families string, atOnce, count int) {
	one := offer{Name: "own", Bridge: "m-own", MTU: 1450, GatewayMAC: "02:4f:4f:00:00:01", Ranges: dual.Ranges}
	standard := offer{Bridge: "t-own", MTU: 1450, GatewayMAC: "02:4f:4f:00:00:09",
		Ranges: []offeredRange{{"9.2.1.0/25", "9.2.1.1"}, {"fd01:d:0:1::/80", "fd01:d:0:1::1"}}}
	if families == "IPv4" {
		one.Ranges, standard.Ranges = one.Ranges[:1], standard.Ranges[:1]
	}
	n := newNode(b, one)
	n.bridge(standard)
	n.spoofTable()
	type contender struct {
		name, program string
		config        []byte
	}
	contenders := []contender{
		{"overlaynet", plugin, n.config(nil)},
		{"bridge", standardPlugin(b, "bridge"), n.standardConfig(standard)},
	}
	times := map[string][]float64{}
	for done := 0; done < count; done += 20 {
		slices.Reverse(contenders)
		for _, each := range contenders {
			var some []*container
			for range 20 {
				some = append(some, n.container())
			}
			for _, command := range []string{"ADD", "DEL"} {
				key := each.name + " " + command
				times[key] = append(times[key], n.timed(each.program, each.config, command, some, atOnce)...)
			}
			for _, c := range some {
				c.end()
			}
			if b.Failed() {
				b.FailNow()
			}
			time.Sleep(200 * time.Millisecond) // the kernel removes the namespaces meanwhile
		}
	}
	for _, each := range contenders {
		for _, command := range []string{"ADD", "DEL"} {
			all := times[each.name+" "+command]
			slices.Sort(all)
			line, _ := json.Marshal(cost{families, atOnce, command, each.name, all[len(all)/2], all[len(all)*99/100]})
			fmt.Println(string(line))
		}
	}
}

// timed runs a plugin for each container, atOnce of them at a time, and returns the duration of each call in ms.
func (n *node) timed(program string, config []byte, command string, some []*container, atOnce int) []float64 {
	var mutex sync.Mutex
	var took []float64
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, c := range some {
		turns <- struct{}{}
		all.Add(1)
		go func() {
			defer all.Done()
			defer func() { <-turns }()
			cmd := exec.Command(program)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=" + command, "CNI_PATH=" + os.Getenv("CNI_PATH"),
				"CNI_CONTAINERID=" + c.id, "CNI_IFNAME=eth0", "CNI_NETNS=" + c.path}
			cmd.Stdin = bytes.NewReader(config)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			start := time.Now()
			if err := n.start(cmd); err != nil {
				n.t.Error(err)
				return
			}
			if err := cmd.Wait(); err != nil {
				n.t.Errorf("%s %s: %v: %s", program, command, err, out.String())
			}
			mutex.Lock()
			defer mutex.Unlock()
			took = append(took, float64(time.Since(start).Microseconds())/1000)
		}()
	}
	all.Wait()
	return took
}

// standardConfig is the same network as a configuration of the standard plugins.
func (n *node) standardConfig(of offer) []byte {
	var ranges [][]offeredRange
	var routes []map[string]string
	for at, part := range of.Ranges {
		ranges = append(ranges, []offeredRange{part})
		routes = append(routes, map[string]string{"dst": []string{"0.0.0.0/0", "::/0"}[at]})
	}
	text, _ := json.Marshal(map[string]any{
		"cniVersion": "1.0.0", "name": "standard", "type": "bridge", "bridge": of.Bridge,
		"isGateway": true, "ipMasq": false, "hairpinMode": true, "mtu": of.MTU,
		"ipam": map[string]any{"type": "host-local", "dataDir": n.leaseDir, "ranges": ranges, "routes": routes},
	})
	return text
}

// spoofTable makes tables like the agent's.
func (n *node) spoofTable() {
	file := filepath.Join(n.dir, "spoof.nft")
	text := `table inet overlaynet {
	set leased4 { type ipv4_addr; }
	set leased6 { type ipv6_addr; }
}
table bridge overlaynet {
	set ports4 { typeof iifname . ether saddr . ip saddr
	}
	set ports6 { typeof iifname . ether saddr . ip6 saddr
	}
	chain containers {
		type filter hook prerouting priority -300; policy accept;
		iifname "c-*" ether type ip iifname . ether saddr . ip saddr @ports4 accept
		iifname "c-*" ether type ip6 iifname . ether saddr . ip6 saddr @ports6 accept
		iifname "c-*" ether type arp iifname . ether saddr . arp saddr ip @ports4 accept
		iifname "c-*" counter drop
	}
}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	n.sh(n.t, "nft -f "+file)
}

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestOfTwoAddsAtOnceOneWins(t *testing.T) {
	n := newNode(t, dual)
	n.spoofTable()
	for range 10 {
		c := n.container()
		var results [2]said
		n.atOnce(2, func(at int) { results[at] = n.call("ADD", c, nil) })
		won, lost := results[0], results[1]
		if won.failed {
			won, lost = lost, won
		}
		if won.failed || !lost.failed {
			t.Fatalf("not exactly one won: %s %s", won.stdout, lost.stdout)
		}
		contains(t, lost.error().Msg, c.id+"/eth0 is attached already, to dual: DEL it first")
		address := won.result(t).IPs[0].Address.IP.String()
		if got := n.leases(); len(got) != 2 || got[0] != address {
			t.Errorf("leases are %v", got)
		}
		c.reaches(t, "9.1.1.1")
		n.del(c)
		n.nothingLeft()
	}
}

func TestAddAndDelRacingLeaveAWholeContainerOrNone(t *testing.T) {
	n := newNode(t, dual)
	for turn := range 12 {
		c := n.container()
		var added said
		n.atOnce(2, func(at int) {
			if at == 0 {
				added = n.call("ADD", c, nil)
				return
			}
			time.Sleep(time.Duration(turn) * 2 * time.Millisecond)
			n.del(c)
		})
		if added.failed {
			t.Errorf("ADD: %s", added.stdout)
		}
		if len(n.records()) == 0 {
			n.nothingLeft()
			continue
		}
		c.reaches(t, "9.1.1.1")
		if got := n.leases(); len(got) != 2 {
			t.Errorf("leases are %v", got)
		}
		n.del(c)
		n.nothingLeft()
	}
}

func TestContainersThatStartTogetherGetAddressesOfTheirOwn(t *testing.T) {
	n := newNode(t, dual)
	var some []*container
	for range 20 {
		some = append(some, n.container())
	}
	n.atOnce(len(some), func(at int) { n.add(some[at]) })
	seen := map[string]bool{}
	for _, address := range n.leases() {
		seen[address] = true
	}
	if len(seen) != 40 {
		t.Errorf("there are %d addresses", len(seen))
	}
	for _, c := range some {
		c.reaches(t, "9.1.1.1")
	}
	n.atOnce(len(some), func(at int) { n.del(some[at]) })
	n.nothingLeft()
}

func TestABurstBeyondTheSubnetFailsForThoseOnly(t *testing.T) {
	small := dcos
	small.Ranges = []offeredRange{{"9.0.1.0/28", "9.0.1.1"}} // 13 addresses
	n := newNode(t, small)
	var some []*container
	for range 20 {
		some = append(some, n.container())
	}
	results := make([]said, len(some))
	n.atOnce(len(some), func(at int) { results[at] = n.call("ADD", some[at], nil) })
	up := 0
	for at, s := range results {
		if !s.failed {
			up++
			some[at].reaches(t, "9.0.1.1")
		} else if s.error().Code != subnetFull {
			t.Errorf("it says %s", s.stdout)
		}
	}
	if up != 13 || len(n.leases()) != 13 || len(n.records()) != 13 || len(n.ports()) != 13 {
		t.Errorf("%d are up, with %d leases, %d records, %d ports", up, len(n.leases()), len(n.records()), len(n.ports()))
	}
	n.atOnce(len(some), func(at int) { n.del(some[at]) })
	n.nothingLeft()
}

func TestADelWaitsForTheAddThatIsUnderWay(t *testing.T) {
	n := newNode(t, dcos)
	asked := make(chan struct{})
	n.agent.answers(func(w http.ResponseWriter, q question) {
		close(asked)
		time.Sleep(300 * time.Millisecond)
		writeNetworks(w, reply(q, []offer{dcos}))
	})
	c := n.container()
	n.atOnce(2, func(at int) {
		if at == 0 {
			n.add(c)
			return
		}
		<-asked
		n.del(c)
	})
	n.nothingLeft()
}

// killsWanted is the number of kills in TestKilledAtAnyMoment: OVERLAYNET_CNI_KILLS, or 20.
func killsWanted(t *testing.T) int {
	text := os.Getenv("OVERLAYNET_CNI_KILLS")
	if text == "" {
		return 20
	}
	kills, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return kills
}

// attempt is one command that is killed, and the processes to kill: plugin, agent or both.
type attempt struct{ command, victim string }

func attemptOf(turn int) attempt {
	if turn%4 == 3 {
		return attempt{"DEL", "plugin"} // DEL does not use the agent
	}
	return attempt{"ADD", []string{"plugin", "both", "agent"}[turn%3]}
}

func (a attempt) agent() bool  { return a.victim != "plugin" }
func (a attempt) plugin() bool { return a.victim != "agent" }

// killedDuring starts the command and kills the victim a moment later, a different moment each turn.
func (n *node) killedDuring(t *testing.T, a attempt, c *container, turn int) said {
	if a.command == "DEL" {
		n.add(c)
	}
	if a.agent() {
		n.agent.inHalves(6 * time.Millisecond)
	}
	cmd, wait := n.prepare(a.command, c, nil)
	if err := n.start(cmd); err != nil {
		t.Fatal(err)
	}
	// a command takes about 10 ms: the moments are spread over them
	time.Sleep(time.Duration(turn*7919%20_000) * time.Microsecond)
	if a.agent() {
		n.agent.kill()
	}
	if a.plugin() {
		cmd.Process.Kill()
	}
	return wait()
}

// cleanedUp does what a runtime does after a killed command: GC each time, DEL and sweep sometimes.
func (n *node) cleanedUp(t *testing.T, a attempt, witness, c *container, turn int) {
	valid := []*container{witness}
	if turn%5 == 0 {
		valid = append(valid, c) // the runtime's list still contains it
	}
	if s := n.gc(valid...); s.failed {
		t.Errorf("GC after a killed %s: %s", a.command, s.stdout)
	}
	if turn%5 == 0 {
		n.del(c)
	}
	if turn%7 == 0 {
		c.end()
		n.sweep()
	}
	if a.agent() {
		n.agent.answers(nil)
		n.agent.restart(t)
	}
}

// TestKilledAtAnyMoment kills the plugin, the agent or both in the middle of an ADD, or the plugin in the middle of a
// DEL. It then checks at once what GC and sweep leave.
func TestKilledAtAnyMoment(t *testing.T) {
	n := newNode(t, dcos, dual)
	n.spoofTable()
	witness := n.container()
	n.add(witness)
	owned := n.leases()
	victims := map[string]int{}
	done, leaked, freed, halfway := 0, 0, 0, 0
	for turn := range killsWanted(t) {
		c, a := n.container(), attemptOf(turn)
		victims[a.victim]++
		if s := n.killedDuring(t, a, c, turn); s.failed {
			halfway++
			if !a.plugin() && (s.error().Code != 11 || len(n.records()) != 1 || len(n.ports()) != 2) {
				t.Errorf("an ADD without its agent says %s; records %v, ports %v", s.stdout, n.records(), n.ports())
			}
		}
		n.cleanedUp(t, a, witness, c, turn)
		done++
		got := n.leases()
		freed += notIn(got, owned)
		leaked += notIn(owned, got)
		hidden, _ := filepath.Glob(filepath.Join(n.stateDir, "attachments", ".*"))
		if leaked+freed > 0 || len(n.records()) != 1 || len(n.ports()) != 2 || len(hidden) != 1 {
			t.Errorf("after kill -9 (%s) in %s: leases %v, not %v; records %v, ports %v, hidden files %v",
				a.victim, a.command, got, owned, n.records(), n.ports(), hidden)
			break
		}
		c.end()
	}
	witness.reaches(t, "9.0.1.1")
	witness.reaches(t, "fd01:b:0:1::1")
	t.Logf("%d kills (plugin %d, agent %d, both %d), %d before the end, %d in the middle of the agent's answer: %d leases leaked, %d live addresses freed",
		done, victims["plugin"], victims["agent"], victims["both"], halfway, n.agent.cut, leaked, freed)
	if halfway == 0 {
		t.Error("no kill came before the end")
	}
}

// notIn counts the items that are not in the list.
func notIn(list, items []string) int {
	missing := 0
	for _, item := range items {
		if !contained(list, item) {
			missing++
		}
	}
	return missing
}

func contained(list []string, item string) bool {
	for _, one := range list {
		if one == item {
			return true
		}
	}
	return false
}

// atOnce runs count calls of work at the same time and waits for all.
func (n *node) atOnce(count int, work func(at int)) {
	var all sync.WaitGroup
	for at := range count {
		all.Add(1)
		go func() {
			defer all.Done()
			work(at)
		}()
	}
	all.Wait()
}

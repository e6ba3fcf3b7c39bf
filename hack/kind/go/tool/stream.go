package main

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"
)

// A packet that isn't answered for so long is lost.
const patience = time.Second

// flow counts numbered packets: sent, answered, and lost.
type flow struct {
	sync.Mutex
	Sent     uint64 `json:"sent"`
	Answered uint64 `json:"answered"`
	Lost     uint64 `json:"lost"`
	// The longest that a packet took to be answered, in milliseconds.
	Slowest float64 `json:"slowest"`
	waiting map[uint64]time.Time
}

// stream sends 100 packets a second to an echo and reports what became of them at http://:8081/.
func stream(to string) error {
	connection, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	counts := flow{waiting: map[uint64]time.Time{}}
	go counts.receive(connection)
	go func() {
		for range time.Tick(10 * time.Millisecond) {
			counts.send(connection)
		}
	}()
	return http.ListenAndServe(":8081", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		counts.Lock()
		defer counts.Unlock()
		json.NewEncoder(w).Encode(&counts)
	}))
}

func (f *flow) send(connection net.Conn) {
	f.Lock()
	number := f.Sent
	f.Sent++
	now := time.Now()
	f.waiting[number] = now
	for one, since := range f.waiting {
		if now.Sub(since) > patience {
			f.Lost++
			delete(f.waiting, one)
		}
	}
	f.Unlock()
	// what cannot be sent is not answered either: it counts as lost
	connection.Write(binary.BigEndian.AppendUint64(nil, number))
}

func (f *flow) receive(connection net.Conn) {
	buffer := make([]byte, 64)
	for {
		n, err := connection.Read(buffer)
		if err != nil || n != 8 {
			continue // an ICMP error shows as an error of the socket once
		}
		f.Lock()
		number := binary.BigEndian.Uint64(buffer[:n])
		if since, ok := f.waiting[number]; ok {
			f.Answered++
			f.Slowest = max(f.Slowest, float64(time.Since(since).Microseconds())/1000)
			delete(f.waiting, number)
		}
		f.Unlock()
	}
}

package crash

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/crash/ent"
)

// Mode is a way in which committed signals are sent.
type Mode struct {
	Name      string
	signal    string
	autoFlush bool // the writers' commits send
	async     bool // and don't wait for it
	// inHand is how many of the last batches of a process may be unfinished
	// when it is killed.
	inHand int
	// flush is what the flushers do all the time.
	flush func(context.Context, *entsignal.Bus, ...entsignal.FlushOption) (int, error)
	// What is promised of the first arrivals. MariaDB orders only the ids of a key.
	ordersKeys, ordersIDs bool
}

// Modes are all modes. The flushers beside autoflushes send what those left
// behind, and get in their way.
var Modes = []Mode{
	{Name: "autoflush", signal: ent.TypePosted, autoFlush: true, inHand: workers + 1, flush: flushMany},
	{Name: "autoflush async", signal: ent.TypePosted, autoFlush: true, async: true, inHand: workers + 1, flush: flushMany},
	{Name: "flush", signal: ent.TypePosted, inHand: 1, flush: flush},
	{Name: "flushmany", signal: ent.TypePosted, inHand: 3, flush: flushMany},
	{Name: "flushordered", signal: ent.TypePosted, inHand: 1, flush: flushOrdered, ordersKeys: true, ordersIDs: true},
	{Name: "flushordered side by side", signal: ent.TypeMoved, inHand: orderedWorkers, flush: flushSideBySide, ordersKeys: true},
	{Name: "flushordered by key", signal: ent.TypeChanged, inHand: 1, flush: flushOrdered, ordersKeys: true},
	{Name: "relay beside autoflush", signal: ent.TypePosted, autoFlush: true, inHand: workers + 1, flush: relay},
	{Name: "relay in order", signal: ent.TypeChanged, inHand: 1, flush: relay, ordersKeys: true},
}

func flush(ctx context.Context, bus *entsignal.Bus, opts ...entsignal.FlushOption) (int, error) {
	return bus.Flush(ctx, append(opts, entsignal.Wait(10*time.Millisecond))...)
}

func flushMany(ctx context.Context, bus *entsignal.Bus, opts ...entsignal.FlushOption) (int, error) {
	return bus.FlushMany(ctx, opts...)
}

func flushOrdered(ctx context.Context, bus *entsignal.Bus, opts ...entsignal.FlushOption) (int, error) {
	return bus.FlushOrdered(ctx, opts...)
}

// orderedWorkers is how many keys an ordered flush sends side by side.
const orderedWorkers = 3

func flushSideBySide(ctx context.Context, bus *entsignal.Bus, opts ...entsignal.FlushOption) (int, error) {
	return bus.FlushOrdered(ctx, append(opts, entsignal.Workers(orderedWorkers))...)
}

// relayTime is how long a relay runs. Then it tells whether a pass has failed, which
// Run itself does not.
const relayTime = 300 * time.Millisecond

// relay runs a relay for a while. It takes all that is pending, and not only what the
// autoflushes of the writers have left behind for a minute.
func relay(ctx context.Context, bus *entsignal.Bus, opts ...entsignal.FlushOption) (int, error) {
	bus.SetAutoFlush(false)
	before := bus.RunState()
	ctx, cancel := context.WithTimeout(ctx, relayTime)
	defer cancel()
	err := bus.Run(ctx, append(opts, entsignal.Poll(10*time.Millisecond))...)
	after := bus.RunState()
	if err == nil && after.Failed > before.Failed {
		err = errors.New("a pass has failed")
	}
	return int(after.Sent - before.Sent), err
}

// modeOf returns the mode of that name.
func modeOf(name string) (Mode, bool) {
	for _, m := range Modes {
		if m.Name == name {
			return m, true
		}
	}
	return Mode{}, false
}

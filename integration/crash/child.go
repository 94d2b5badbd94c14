package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// leakLimit is when a goroutine that still runs is a leak.
const leakLimit = 20 * time.Second

// childEnv has the orders of a process that a run starts.
const childEnv = "ENTSIGNAL_CRASH_CHILD"

// orders are what a process shall do.
type orders struct {
	Process int // its number
	Writes  bool
	Mode    string
	Kind    string
	DSN     string
	Broker  string
	Queue   string
	Seed    uint64
	// Transactions is how many each worker of a writer runs; 0 is without end.
	Transactions int
	Hold         time.Duration // see Config
}

// workers is how many transactions a writer has open at a time.
const workers = 4

// report is a line that a process prints.
type report struct {
	batchID
	State state
	Error string // of a call that failed
	// Entries are the rows of a refused batch that were not sent.
	Entries []string
}

type state int

const (
	ended     state = iota // a call
	refused                // rows of a batch were not sent, or it is not known
	ready                  // the process
	done                   // its transactions
	committed              // a transaction whose autoflush goes on
)

// IsChild reports whether this process was started by a run.
func IsChild() bool { return os.Getenv(childEnv) != "" }

// RunChild is the program of such a process. It stops gracefully at a SIGTERM
// and when its standard input ends. It returns the exit code, which is not 0 if something
// could not be closed or a goroutine was left.
func RunChild() int {
	if err := runChild(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runChild(in io.Reader, out io.Writer) error {
	var o orders
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &o); err != nil {
		return err
	}
	mode, ok := modeOf(o.Mode)
	kind := slices.IndexFunc(testdb.All, func(k testdb.Kind) bool { return k.Name == o.Kind })
	if !ok || kind < 0 {
		return fmt.Errorf("unknown mode %q or database %q", o.Mode, o.Kind)
	}
	c := &child{orders: o, out: json.NewEncoder(out), stop: make(chan struct{})}
	a, err := open(mode, &testdb.DB{Kind: testdb.All[kind], DSN: o.DSN}, o.Broker, o.Queue, c.tell)
	if err != nil {
		return err
	}
	c.app = a
	a.hold = o.Hold
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	parentGone := make(chan struct{})
	go func() { // it can't be waited for: nothing ends the read but the parent
		defer close(parentGone)
		_, _ = bufio.NewReader(in).ReadString(0)
	}()
	leaks := goleak.IgnoreCurrent()
	var waiter sync.WaitGroup
	waiter.Go(func() {
		select {
		case <-parentGone:
		case <-terms:
		}
		close(c.stop)
		_ = a.bus.Close(context.Background())
	})
	c.tell(report{State: ready})
	if o.Writes {
		c.write()
		c.tell(report{State: done})
	} else {
		c.keepFlushing()
	}
	waiter.Wait()
	signal.Stop(terms)
	if err := a.close(); err != nil {
		return err
	}
	// A query that was cancelled leaves lib/pq waiting until the server has closed the
	// connection of the cancellation, which takes a busy server a while.
	for began := time.Now(); ; {
		err := goleak.Find(leaks)
		if err == nil || time.Since(began) > leakLimit {
			return err
		}
	}
}

type child struct {
	*app
	orders
	stop chan struct{}

	mu  sync.Mutex
	out *json.Encoder // writes each line at once
}

func (c *child) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

func (c *child) tell(r report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Encode(r)
}

// do runs one call and tells how it ended; a commit that doesn't wait for its
// autoflush is over sooner than that: then only a failure ends it.
func (c *child) do(worker, number int, f func(context.Context) error) error {
	id := callID{c.Process, worker, number}
	err := f(id.context(context.Background()))
	switch {
	case err != nil && !onlyStopped(err):
		c.tell(report{batchID: batchID{callID: id}, Error: err.Error()})
		return err
	case !c.mode.async || !c.Writes:
		c.tell(report{batchID: batchID{callID: id}})
	default:
		c.tell(report{State: committed})
	}
	return nil
}

// write runs transactions, several at a time.
func (c *child) write() {
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(c.Seed, uint64(c.Process*workers+w)))
			made := 0
			entry := func() string {
				made++
				return fmt.Sprintf("%d-%d-%d", c.Process, w, made)
			}
			for i := 1; !c.stopped() && (c.Transactions == 0 || i <= c.Transactions); i++ {
				_ = c.do(w, i, func(ctx context.Context) error { return c.update(ctx, rng, entry) })
			}
		})
	}
	all.Wait()
}

// keepFlushing flushes all the time, with a short rest when there was nothing
// or an error. Where there are no faults it cancels some of the flushes, which
// must not make a message repeat either.
func (c *child) keepFlushing() {
	rng := rand.New(rand.NewPCG(c.Seed, uint64(c.Process)))
	for i := 1; !c.stopped(); i++ {
		sent := 0
		err := c.do(0, i, func(ctx context.Context) (err error) {
			ctx, cancel := c.cancelling(ctx, rng)
			defer cancel()
			sent, err = c.flush(ctx, c.burst(rng))
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return nil
			}
			return err
		})
		if err != nil || sent == 0 {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-c.stop:
			}
		}
	}
}

// maxCancel is when at the latest a flush that is cancelled is: some have sent
// their batch by then, and wait for the broker.
const maxCancel = 30 * time.Millisecond

// cancelling returns a context that ends at some moment for every other flush of
// a run without faults.
func (c *child) cancelling(ctx context.Context, rng *rand.Rand) (context.Context, func()) {
	if c.Transactions == 0 || rng.IntN(2) == 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(time.Duration(rng.Int64N(int64(maxCancel))), cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

// burst is small as often as it is large enough for all that is pending: only
// then has a flush to do with the youngest rows.
func (c *child) burst(rng *rand.Rand) int {
	if rng.IntN(2) == 0 {
		return rng.IntN(50) + 1
	}
	return maxBurst
}

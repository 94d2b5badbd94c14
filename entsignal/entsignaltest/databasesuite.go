package entsignaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
)

// TestDatabase tests that a bus keeps its promises with the database, the driver
// and the settings of open: what was committed is sent and deleted, what failed
// stays, concurrent flushes send each row once, one ordered flush runs at a time,
// and a broken connection loses nothing. Use it for databases, drivers, poolers and
// wrappers that the library doesn't know.
//
// open returns ent's driver over a *sql.DB for an empty database. It is called once
// per subtest, and the subtests run in parallel. open must use t.Cleanup to close
// what it opens.
func TestDatabase(t *testing.T, open func(t testing.TB) dialect.Driver) {
	if open == nil {
		t.Fatal("entsignaltest: TestDatabase: open is nil")
	}
	for _, check := range databaseChecks {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			check.run(t, open(t))
		})
	}
}

// databaseLimit ends a test that hangs.
const databaseLimit = time.Minute

// databaseCheck is one of the promises.
type databaseCheck struct {
	name string
	run  func(testing.TB, dialect.Driver)
}

var databaseChecks = []databaseCheck{
	{"a commit sends its signals and deletes them", func(t testing.TB, drv dialect.Driver) {
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		_, client := table.bus(t, broker.send)
		client.Committed(suiteTime(t), table.insert(t, suiteTexts(1, 3)...))
		broker.want(t, suiteTexts(1, 3))
		wantLeft(t, table, nil)
	}},
	{"each flush sends and deletes", func(t testing.TB, drv dialect.Driver) {
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		bus, _ := table.bus(t, broker.send)
		flushes := []func(context.Context, ...entsignal.FlushOption) (int, error){
			func(ctx context.Context, opts ...entsignal.FlushOption) (int, error) {
				return bus.Flush(ctx, append(opts, entsignal.Wait(0))...)
			},
			bus.FlushMany, bus.FlushOrdered,
		}
		for i, flush := range flushes {
			table.insert(t, suiteTexts(1+10*i, 10)...)
			n, err := flush(suiteTime(t), entsignal.Burst(4))
			if err != nil || n != 10 {
				t.Fatalf("entsignaltest: flush %d of 3 sent %d of 10: %v", i+1, n, err)
			}
			wantLeft(t, table, nil)
		}
		broker.want(t, suiteTexts(1, 30))
		if got := broker.all(); !slices.Equal(got[20:], suiteTexts(21, 10)) {
			t.Fatalf("entsignaltest: FlushOrdered sent %v; expected the order of the ids", got[20:])
		}
	}},
	{"what is rolled back is not sent", func(t testing.TB, drv dialect.Driver) {
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		bus, _ := table.bus(t, broker.send)
		ctx := suiteTime(t)
		tx, err := table.Tx(ctx)
		if err == nil {
			err = errors.Join(tx.Exec(ctx, "INSERT INTO "+suiteTableName+" (text) VALUES ('lost')", []any{}, nil), tx.Rollback())
		}
		if err != nil {
			t.Fatalf("entsignaltest: roll back: %v", err)
		}
		if _, err := bus.FlushMany(ctx); err != nil {
			t.Fatalf("entsignaltest: flush: %v", err)
		}
		broker.want(t, nil)
	}},
	{"what failed stays", func(t testing.TB, drv dialect.Driver) {
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		bus, _ := table.bus(t, broker.send)
		table.insert(t, suiteTexts(1, 6)...)
		broker.fail(suiteText(2), errSuite)
		broker.fail(suiteText(6), errSuite)
		n, err := bus.FlushMany(suiteTime(t), entsignal.Burst(3))
		if n != 4 || !errors.Is(err, errSuite) {
			t.Fatalf("entsignaltest: 2 of 6 signals failed, but FlushMany returned %d and %v", n, err)
		}
		wantLeft(t, table, []string{suiteText(2), suiteText(6)})
		broker.fail(suiteText(2), nil)
		broker.fail(suiteText(6), nil)
		if n, err := bus.FlushMany(suiteTime(t)); n != 2 || err != nil {
			t.Fatalf("entsignaltest: FlushMany of the 2 that had failed returned %d and %v", n, err)
		}
		broker.want(t, suiteTexts(1, 6))
		wantLeft(t, table, nil)
	}},
	{"a sender that panics loses nothing", func(t testing.TB, drv dialect.Driver) {
		table := newSuiteTable(t, drv)
		bus, _ := table.bus(t, func(context.Context, []*Signal) error { panic("entsignaltest: a sender that panics") })
		table.insert(t, suiteTexts(1, 2)...)
		if n, err := bus.FlushMany(suiteTime(t), entsignal.Burst(2)); n != 0 || err == nil {
			t.Fatalf("entsignaltest: the sender panicked, but FlushMany returned %d and %v", n, err)
		}
		wantLeft(t, table, suiteTexts(1, 2))
	}},
	{"flushes at once send each row once", func(t testing.TB, drv dialect.Driver) {
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		table.insert(t, suiteTexts(1, 120)...)
		var flushes sync.WaitGroup
		errs := make(chan error, 4)
		for range cap(errs) {
			bus, _ := table.bus(t, broker.send) // as of another process
			flushes.Go(func() {
				_, err := bus.FlushMany(suiteTime(t), entsignal.Burst(7))
				errs <- err
			})
		}
		flushes.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Fatalf("entsignaltest: a FlushMany beside others: %v", err)
			}
		}
		broker.want(t, suiteTexts(1, 120))
		wantLeft(t, table, nil)
	}},
	{"writers and flushes don't disturb each other", func(t testing.TB, drv dialect.Driver) {
		const writers, each = 3, 20
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		bus, client := table.bus(t, broker.send)
		errs := make(chan error, writers)
		for writer := range writers {
			go func() {
				for i := range each {
					created, err := table.tryInsert(suiteText(1 + writer*each + i))
					if err != nil {
						errs <- err
						return
					}
					client.Committed(context.Background(), created)
				}
				errs <- nil
			}()
		}
		for running := writers; running > 0; {
			select {
			case err := <-errs:
				if err != nil {
					t.Fatalf("entsignaltest: a writer beside flushes: %v", err)
				}
				running--
			default:
				if _, err := bus.FlushMany(suiteTime(t), entsignal.Burst(5)); err != nil {
					t.Fatalf("entsignaltest: a flush beside writers: %v", err)
				}
			}
		}
		if err := drain(suiteTime(t), bus); err != nil {
			t.Fatalf("entsignaltest: %v", err)
		}
		broker.want(t, suiteTexts(1, writers*each))
	}},
	{"ordered flushes take turns", func(t testing.TB, drv dialect.Driver) {
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		table.insert(t, suiteTexts(1, 4)...)
		reached, release := make(chan struct{}), make(chan struct{})
		first, _ := table.bus(t, func(ctx context.Context, signals []*Signal) error {
			select {
			case reached <- struct{}{}:
				<-release
			default:
			}
			return broker.send(ctx, signals)
		})
		second, _ := table.bus(t, broker.send)
		done := make(chan error, 1)
		go func() {
			_, err := first.FlushOrdered(suiteTime(t), entsignal.Burst(2))
			done <- err
		}()
		select {
		case <-reached:
		case err := <-done:
			t.Fatalf("entsignaltest: FlushOrdered has not called its sender: %v", err)
		}
		_, err := second.FlushOrdered(suiteTime(t), entsignal.Wait(0))
		close(release)
		if errFirst := <-done; errFirst != nil {
			t.Fatalf("entsignaltest: the first FlushOrdered: %v", errFirst)
		}
		if !errors.Is(err, entsignal.ErrBusy) {
			t.Fatalf("entsignaltest: a FlushOrdered beside another returned %v; expected entsignal.ErrBusy", err)
		}
		if got := broker.all(); !slices.Equal(got, suiteTexts(1, 4)) {
			t.Fatalf("entsignaltest: FlushOrdered sent %v; expected the order of the ids", got)
		}
	}},
	{"a flush whose context has ended sends nothing", func(t testing.TB, drv dialect.Driver) {
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		bus, _ := table.bus(t, broker.send)
		table.insert(t, suiteText(1))
		ctx, cancel := context.WithCancel(suiteTime(t))
		cancel()
		if _, err := bus.FlushMany(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("entsignaltest: FlushMany returned %v; expected context.Canceled", err)
		}
		broker.want(t, nil)
		wantLeft(t, table, suiteTexts(1, 1))
	}},
	{"a deletion that the connection loses repeats at most", func(t testing.TB, drv dialect.Driver) {
		drv, database := Driver(t, drv)
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		var reported suiteErrors
		bus, client := table.bus(t, broker.send, reported.option())
		created := table.insert(t, suiteText(1))
		fault := database.LoseDelete(1)
		client.Committed(suiteTime(t), created)
		reported.want(t, fault)
		if drv.Dialect() != dialect.SQLite { // where the bus deletes it a moment later
			wantLeft(t, table, suiteTexts(1, 1))
		}
		if err := drain(suiteTime(t), bus); err != nil {
			t.Fatalf("entsignaltest: flush again: %v", err)
		}
		if n := len(broker.all()); n < 1 || n > 2 {
			t.Fatalf("entsignaltest: the signal was sent %d times; expected once, or twice", n)
		}
		wantLeft(t, table, nil)
	}},
	{"a deletion whose answer is lost repeats nothing", func(t testing.TB, drv dialect.Driver) {
		drv, database := Driver(t, drv)
		table, broker := newSuiteTable(t, drv), &suiteBroker{}
		var reported suiteErrors
		bus, client := table.bus(t, broker.send, reported.option())
		created := table.insert(t, suiteText(1))
		fault := database.LoseCommit(1)
		client.Committed(suiteTime(t), created)
		reported.want(t, fault)
		wantLeft(t, table, nil)
		if err := drain(suiteTime(t), bus); err != nil {
			t.Fatalf("entsignaltest: flush again: %v", err)
		}
		broker.want(t, suiteTexts(1, 1))
	}},
}

// suiteTime returns a context that ends a test that hangs.
func suiteTime(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
	t.Cleanup(cancel)
	return ctx
}

func wantLeft(t testing.TB, table suiteTable, want []string) {
	t.Helper()
	if got := table.left(t); !slices.Equal(got, want) {
		t.Fatalf("entsignaltest: the table has %q; expected %q", got, want)
	}
}

// suiteBroker records what is sent.
type suiteBroker struct {
	mu   sync.Mutex
	got  []string
	errs map[string]error
}

func (b *suiteBroker) send(_ context.Context, signals []*Signal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := make([]error, len(signals))
	for i, s := range signals {
		if errs[i] = b.errs[s.Text]; errs[i] == nil {
			b.got = append(b.got, s.Text)
		}
	}
	return &entsignal.BatchError{Errors: errs}
}

// fail makes the broker refuse a signal; with nil it accepts it again.
func (b *suiteBroker) fail(text string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.errs == nil {
		b.errs = make(map[string]error)
	}
	b.errs[text] = err
}

func (b *suiteBroker) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// want compares what was sent, in any order.
func (b *suiteBroker) want(t testing.TB, texts []string) {
	t.Helper()
	n := make(map[string]int)
	for _, text := range b.all() {
		n[text]++
	}
	for _, text := range texts {
		if n[text] != 1 {
			t.Fatalf("entsignaltest: %q was sent %d times; expected once", text, n[text])
		}
		delete(n, text)
	}
	for text := range n {
		t.Fatalf("entsignaltest: %q was sent; expected that it isn't", text)
	}
}

// suiteErrors records the errors that a bus reports.
type suiteErrors struct {
	mu   sync.Mutex
	errs []error
}

func (e *suiteErrors) option() entsignal.BusOption {
	return entsignal.WithErrorHandler(func(_ context.Context, err error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.errs = append(e.errs, err)
	})
}

// want expects that a fault struck once and was reported.
func (e *suiteErrors) want(t testing.TB, fault *Fault) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := errors.Join(e.errs...); fault.Struck() != 1 || !errors.Is(err, ErrConnectionLost) {
		t.Fatalf("entsignaltest: the connection of a deletion was to break once; it broke %s, and the bus reported: %v", times(fault.Struck()), fmt.Sprint(err))
	}
}

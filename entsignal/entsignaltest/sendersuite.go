package entsignaltest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/sending"
)

// Signal is the signal that [TestSender] and [TestDatabase] send.
type Signal struct {
	ID   int    // of its row
	Text string // must arrive
	Fail error  // if set, what the message is made by must return it
}

// Received is one message as a consumer got it.
type Received struct {
	Text string
	// MessageID identifies repeats for consumers. It may be empty if the sender
	// sets none; see [SenderCase].
	MessageID string
}

// SenderCase describes a sender for [TestSender].
type SenderCase struct {
	// Open returns the sender and a part of its broker, such as a queue, that is
	// empty and used by nothing else. It is called once per subtest, and the
	// subtests run in parallel. Open must use t.Cleanup to close what it opens.
	Open func(t testing.TB) SenderUnderTest
	// Publishes declares that the sender calls [entsignal.Published].
	Publishes bool
	// NoMessageIDs declares that its messages have no id by which consumers
	// recognize repeats.
	NoMessageIDs bool
}

// SenderUnderTest is a sender together with access to its broker.
type SenderUnderTest struct {
	// Sender sends the Text of each signal. If its Fail is set, Sender must fail to
	// encode the signal, with Fail as the error.
	Sender entsignal.Sender[*Signal]
	// Received returns everything that consumers got since Open, in the order of
	// arrival. It may ask the broker only for new messages and remember the others.
	Received func(t testing.TB) []Received
	// Away makes the broker unreachable until back is called. It may be nil.
	Away func(t testing.TB) (back func())
	// Hang makes the broker stop answering until release is called. It may be nil.
	Hang func(t testing.TB) (release func())
}

// TestSender tests that a sender fulfils the contract of [entsignal.Sender]: it
// reports correctly what became of each message, its errors and marks can be found,
// it stops when its context ends and, in a FlushOrdered, at the first failure, and
// it is safe for concurrent use. Use it for senders to brokers that the library
// doesn't know.
//
// The checks of a broker that is unreachable or hangs need the functions Away and
// Hang. Without them these promises are not tested.
func TestSender(t *testing.T, c SenderCase) {
	if c.Open == nil {
		t.Fatal("entsignaltest: TestSender: SenderCase.Open is nil")
	}
	for _, check := range senderChecks {
		if check.needed != nil && !check.needed(c, c.Open(t)) {
			continue
		}
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			check.run(t, c, c.Open(t))
		})
	}
}

// senderLimit ends a call that hangs.
const senderLimit = 30 * time.Second

// senderCheck is one part of the contract.
type senderCheck struct {
	name   string
	needed func(SenderCase, SenderUnderTest) bool // nil: always
	run    func(testing.TB, SenderCase, SenderUnderTest)
}

var errSuite = errors.New("entsignaltest: a signal that can't be encoded")

var senderChecks = []senderCheck{
	{name: "sends a batch in every mode", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		next := 1
		for mode := entsignal.ModeAutoFlush; mode <= entsignal.ModeSend; mode++ {
			batch := suiteSignals(next, 20)
			next += len(batch)
			s.wantSent(t, mode, batch)
		}
		s.wantReceived(t, suiteTexts(1, next-1))
	}},
	{name: "sends one", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		s.wantSent(t, entsignal.ModeAutoFlush, suiteSignals(1, 1))
		s.wantReceived(t, suiteTexts(1, 1))
	}},
	{name: "sends a large batch", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		s.wantSent(t, entsignal.ModeFlushMany, suiteSignals(1, 2500))
		s.wantReceived(t, suiteTexts(1, 2500))
	}},
	{name: "takes an empty batch", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		s.wantSent(t, entsignal.ModeFlush, nil)
		s.wantReceived(t, nil)
	}},
	{name: "works without a bus", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		ctx, cancel := context.WithTimeout(context.Background(), senderLimit)
		defer cancel()
		if err := s.call(t, ctx, suiteSignals(1, 3)); err != nil {
			t.Fatalf("entsignaltest: with a context that no bus has made the sender returned %v; expected nil", err)
		}
		s.wantReceived(t, suiteTexts(1, 3))
	}},
	{name: "reports each message", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		batch := suiteSignals(1, 5)
		batch[1].Fail, batch[4].Fail = errSuite, errSuite
		errs := s.send(t, entsignal.ModeFlushMany, batch)
		for i, err := range errs {
			if failed := err != nil; failed != (batch[i].Fail != nil) {
				t.Fatalf("entsignaltest: signals 2 and 5 of 5 can't be encoded; for signal %d the sender reported: %v", i+1, err)
			}
		}
		s.wantReceived(t, []string{suiteText(1), suiteText(3), suiteText(4)})
		s.wantSent(t, entsignal.ModeFlushMany, suiteSignals(6, 2)) // a failure spoils nothing
	}},
	{name: "keeps errors and their marks", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		batch := suiteSignals(1, 2)
		batch[0].Fail, batch[1].Fail = entsignal.Permanent(errSuite), errSuite
		errs := s.send(t, entsignal.ModeFlushMany, batch)
		for i, err := range errs {
			if !errors.Is(err, errSuite) {
				t.Fatalf("entsignaltest: signal %d failed with %q, in which errors.Is doesn't find the error of encoding it; wrap it with %%w", i+1, err)
			}
		}
		if !entsignal.IsPermanent(errs[0]) || entsignal.IsPermanent(errs[1]) {
			t.Fatalf("entsignaltest: only the first of two errors was marked by entsignal.Permanent; of those that the sender reported IsPermanent finds the mark in: first %v, second %v",
				entsignal.IsPermanent(errs[0]), entsignal.IsPermanent(errs[1]))
		}
	}},
	{name: "keeps the order of an ordered flush", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		s.wantSent(t, entsignal.ModeFlushOrdered, suiteSignals(1, 200))
		for i, got := range s.Received(t) {
			if want := suiteText(i + 1); got.Text != want {
				t.Fatalf("entsignaltest: in a FlushOrdered the broker got %q in place %d; expected %q", got.Text, i+1, want)
			}
		}
	}},
	{name: "stops an ordered flush at the first failure", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		batch := suiteSignals(1, 4)
		batch[1].Fail = errSuite
		errs := s.send(t, entsignal.ModeFlushOrdered, batch)
		if errs[0] != nil || errs[1] == nil || errs[2] == nil || errs[3] == nil {
			t.Fatalf("entsignaltest: in a FlushOrdered signal 2 of 4 can't be encoded; the sender reported %v; expected that 1 was sent and 2, 3 and 4 were not", errs)
		}
		s.wantReceived(t, suiteTexts(1, 1))
	}},
	{name: "gives each row an id that stays", needed: func(c SenderCase, _ SenderUnderTest) bool { return !c.NoMessageIDs }, run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		for range 2 {
			s.wantSent(t, entsignal.ModeFlushMany, suiteSignals(1, 3))
		}
		ids := make(map[string]string) // by text
		texts := make(map[string]string)
		for _, got := range s.Received(t) {
			known, repeat := ids[got.Text]
			switch other := texts[got.MessageID]; {
			case got.MessageID == "":
				t.Fatalf("entsignaltest: the message of %q has no id; take it from entsignal.BatchFromContext, or set SenderCase.NoMessageIDs", got.Text)
			case repeat && known != got.MessageID:
				t.Fatalf("entsignaltest: the row of %q was sent with the ids %q and %q; expected the same, so that consumers know the repeat", got.Text, known, got.MessageID)
			case !repeat && other != "":
				t.Fatalf("entsignaltest: the rows of %q and %q were sent with the same id %q", other, got.Text, got.MessageID)
			}
			ids[got.Text], texts[got.MessageID] = got.MessageID, got.Text
		}
	}},
	{name: "sends nothing when its context has ended", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		s.wantSent(t, entsignal.ModeFlushMany, suiteSignals(1, 1))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		batch := suiteSignals(2, 5)
		errs := outcomes(t, s.call(t, suiteContext(ctx, entsignal.ModeFlushMany, batch), batch), len(batch))
		for i, err := range errs {
			if err == nil {
				t.Fatalf("entsignaltest: the context had ended before the call, and the sender reported signal %d of 5 as sent", i+1)
			}
		}
		s.wantReceived(t, suiteTexts(1, 1))
		s.wantSent(t, entsignal.ModeFlushMany, suiteSignals(7, 2))
	}},
	{name: "is called by many goroutines", run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		const callers, calls, size = 8, 5, 10
		failed := make(chan error, callers)
		for caller := range callers {
			go func() {
				var errs []error
				for call := range calls {
					batch := suiteSignals(1+(caller*calls+call)*size, size)
					ctx, cancel := context.WithTimeout(context.Background(), senderLimit)
					errs = append(errs, s.Sender(suiteContext(ctx, entsignal.ModeFlushMany, batch), batch))
					cancel()
				}
				failed <- errors.Join(errs...)
			}()
		}
		var errs []error
		for range callers {
			errs = append(errs, <-failed)
		}
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("entsignaltest: %d goroutines have called the sender: %v", callers, err)
		}
		s.wantReceived(t, suiteTexts(1, callers*calls*size))
	}},
	{name: "tells when all is handed over", needed: func(c SenderCase, _ SenderUnderTest) bool { return c.Publishes }, run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		ctx, cancel := context.WithTimeout(context.Background(), senderLimit)
		defer cancel()
		batch := suiteSignals(1, 100)
		published := 0
		ctx = sending.WithPublished(suiteContext(ctx, entsignal.ModeFlushMany, batch), func() { published++ })
		if err := s.call(t, ctx, batch); err != nil {
			t.Fatalf("entsignaltest: the sender returned %v; expected nil", err)
		}
		if published == 0 {
			t.Fatalf("entsignaltest: the sender has returned without a call of entsignal.Published, which SenderCase.Publishes promises")
		}
		s.wantReceived(t, suiteTexts(1, 100))
	}},
	{name: "says that the broker is away", needed: func(_ SenderCase, s SenderUnderTest) bool { return s.Away != nil }, run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		s.wantSent(t, entsignal.ModeFlushMany, suiteSignals(1, 2))
		back := s.Away(t)
		errs := s.report(t, entsignal.ModeFlushMany, suiteSignals(3, 3))
		for i, err := range errs {
			if !entsignal.IsUnavailable(err) {
				t.Fatalf("entsignaltest: the broker is away, and the sender reported of signal %d of 3: %v; expected an error that entsignal.Unavailable marks", i+1, err)
			}
		}
		back()
		s.recovers(t, suiteSignals(6, 2))
		s.wantReceived(t, append(suiteTexts(1, 2), suiteTexts(6, 2)...))
	}},
	{name: "returns when its context ends while the broker hangs", needed: func(_ SenderCase, s SenderUnderTest) bool { return s.Hang != nil }, run: func(t testing.TB, _ SenderCase, s SenderUnderTest) {
		s.wantSent(t, entsignal.ModeFlushMany, suiteSignals(1, 2))
		release := s.Hang(t)
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		batch := suiteSignals(3, 3)
		for i, err := range outcomes(t, s.call(t, suiteContext(ctx, entsignal.ModeFlushMany, batch), batch), len(batch)) {
			if err == nil {
				t.Fatalf("entsignaltest: the broker has not answered, and the sender reported signal %d of 3 as sent", i+1)
			}
		}
		release()
		s.recovers(t, suiteSignals(6, 2))
	}},
}

// recovers sends a batch, again and again until the sender has found its broker.
func (s SenderUnderTest) recovers(t testing.TB, batch []*Signal) {
	t.Helper()
	limit := time.Now().Add(senderLimit)
	for {
		errs := s.report(t, entsignal.ModeFlushMany, batch)
		err := errors.Join(errs...)
		if err == nil {
			return
		}
		var left []*Signal
		for i, err := range errs {
			if err != nil {
				left = append(left, batch[i])
			}
		}
		batch = left
		if time.Now().After(limit) {
			t.Fatalf("entsignaltest: the broker is back, and after %v the sender still returns: %v", senderLimit, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// wantSent sends a batch, of which all must be reported as sent.
func (s SenderUnderTest) wantSent(t testing.TB, mode entsignal.Mode, batch []*Signal) {
	t.Helper()
	for i, err := range s.send(t, mode, batch) {
		if err != nil {
			t.Fatalf("entsignaltest: signal %d of %d, by %v, failed: %v; expected that all are sent", i+1, len(batch), mode, err)
		}
	}
}

// send sends a batch, and compares what the sender reports with what has arrived.
func (s SenderUnderTest) send(t testing.TB, mode entsignal.Mode, batch []*Signal) []error {
	t.Helper()
	before := s.arrived(t)
	errs := s.report(t, mode, batch)
	after := s.arrived(t)
	for i, err := range errs {
		switch n := after[batch[i].Text] - before[batch[i].Text]; {
		case err == nil && n == 0:
			t.Fatalf("entsignaltest: the sender reported %q as sent, and it has not arrived: its row would be lost", batch[i].Text)
		case err == nil && n > 1:
			t.Fatalf("entsignaltest: %q has arrived %d times in one call", batch[i].Text, n)
		case err != nil && n > 0:
			t.Fatalf("entsignaltest: the sender reported %q as failed, and it has arrived: it would be sent again: %v", batch[i].Text, err)
		}
	}
	return errs
}

// report sends a batch, and returns what the sender reports of each signal.
func (s SenderUnderTest) report(t testing.TB, mode entsignal.Mode, batch []*Signal) []error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), senderLimit)
	defer cancel()
	return outcomes(t, s.call(t, suiteContext(ctx, mode, batch), batch), len(batch))
}

// call calls the sender, which must return soon after ctx has ended.
func (s SenderUnderTest) call(t testing.TB, ctx context.Context, batch []*Signal) error { //nolint:revive // t comes first
	t.Helper()
	type result struct {
		err      error
		panicked any
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panicked = recover()
			done <- r
		}()
		r.err = s.Sender(ctx, batch)
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		select {
		case r = <-done:
		case <-time.After(senderLimit):
			t.Fatalf("entsignaltest: the sender has not returned %v after its context ended", senderLimit)
		}
	}
	if r.panicked != nil {
		t.Fatalf("entsignaltest: the sender panicked: %v", r.panicked)
	}
	return r.err
}

// outcomes returns the error of each of n signals, from the error of a sender.
func outcomes(t testing.TB, err error, n int) []error {
	t.Helper()
	errs := make([]error, n)
	var part *entsignal.BatchError
	switch {
	case errors.As(err, &part) && len(part.Errors) != n:
		t.Fatalf("entsignaltest: the sender returned a BatchError with %d errors for %d signals", len(part.Errors), n)
	case part != nil:
		copy(errs, part.Errors)
	default:
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// arrived counts what consumers have got, by text.
func (s SenderUnderTest) arrived(t testing.TB) map[string]int {
	t.Helper()
	n := make(map[string]int)
	for _, got := range s.Received(t) {
		n[got.Text]++
	}
	return n
}

// wantReceived compares what consumers have got, in any order.
func (s SenderUnderTest) wantReceived(t testing.TB, texts []string) {
	t.Helper()
	got := s.arrived(t)
	for _, text := range texts {
		if got[text] != 1 {
			t.Fatalf("entsignaltest: %q has arrived %d times; expected once", text, got[text])
		}
		delete(got, text)
	}
	for text := range got {
		t.Fatalf("entsignaltest: %q has arrived, which should not have been sent", text)
	}
}

// suiteContext returns the context that a bus would give to the sender.
func suiteContext(ctx context.Context, mode entsignal.Mode, batch []*Signal) context.Context {
	b := entsignal.Batch{Signal: entsignal.Info{Name: "Signal", Table: "signals", AutoFlush: true, BurstCount: 500}, Mode: mode}
	for _, s := range batch {
		b.Items = append(b.Items, entsignal.Item{ID: strconv.Itoa(s.ID)})
	}
	return entsignal.NewBatchContext(ctx, b)
}

// suiteSignals returns n signals, numbered from first.
func suiteSignals(first, n int) []*Signal {
	batch := make([]*Signal, n)
	for i := range batch {
		batch[i] = &Signal{ID: first + i, Text: suiteText(first + i)}
	}
	return batch
}

func suiteText(n int) string { return fmt.Sprintf("signal %d", n) }

// suiteTexts returns the texts of n signals, numbered from first.
func suiteTexts(first, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = suiteText(first + i)
	}
	return texts
}

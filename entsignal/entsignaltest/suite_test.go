package entsignaltest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/sending"
)

// failingTB stands for a test that fails.
type failingTB struct {
	testing.TB
	text string
}

func (f *failingTB) Helper() {}

func (f *failingTB) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failureOf returns the text with which a check fails, or nothing.
func failureOf(t *testing.T, check func(testing.TB)) string {
	t.Helper()
	f := &failingTB{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		check(f)
	}()
	<-ended
	return f.text
}

// memory is a broker in memory, and a sender that keeps to the contract.
type memory struct {
	mu   sync.Mutex
	got  []Received
	away bool
	hang chan struct{}
}

var errDown = errors.New("down")

func (m *memory) Send(ctx context.Context, signals []*Signal) error {
	defer entsignal.Published(ctx)
	m.mu.Lock()
	away, hang := m.away, m.hang
	m.mu.Unlock()
	if away {
		return entsignal.Unavailable(errDown)
	}
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return entsignal.Each(func(ctx context.Context, s *Signal) error {
		if s.Fail != nil {
			return fmt.Errorf("encode: %w", s.Fail)
		}
		m.store(ctx, s)
		return nil
	})(ctx, signals)
}

func (m *memory) store(ctx context.Context, s *Signal) {
	id := ""
	if b, ok := entsignal.BatchFromContext(ctx); ok {
		id = b.Signal.Name + ":" + b.Items[0].ID
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, Received{Text: s.Text, MessageID: id})
}

func (m *memory) Received(testing.TB) []Received {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Received(nil), m.got...)
}

func (m *memory) Away(testing.TB) func() {
	set := func(away bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.away = away
	}
	set(true)
	return func() { set(false) }
}

func (m *memory) Hang(testing.TB) func() {
	set := func(hang chan struct{}) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.hang = hang
	}
	hang := make(chan struct{})
	set(hang)
	return func() { set(nil); close(hang) }
}

// under returns the sender that change makes of a good one.
func under(change func(*memory, entsignal.Sender[*Signal]) entsignal.Sender[*Signal]) SenderCase {
	return SenderCase{Publishes: true, Open: func(testing.TB) SenderUnderTest {
		m := &memory{}
		return SenderUnderTest{Sender: change(m, m.Send), Received: m.Received, Away: m.Away, Hang: m.Hang}
	}}
}

func TestSenderThatKeepsToTheContractPasses(t *testing.T) {
	TestSender(t, under(func(_ *memory, send entsignal.Sender[*Signal]) entsignal.Sender[*Signal] { return send }))
}

func TestSenderCheckFindsWhatIsWrong(t *testing.T) {
	type sender = entsignal.Sender[*Signal]
	for check, c := range map[string]struct {
		want string
		bad  func(*memory, sender) sender
	}{
		"sends a batch in every mode": {`the sender reported "signal 1" as sent, and it has not arrived: its row would be lost`, func(*memory, sender) sender {
			return func(context.Context, []*Signal) error { return nil }
		}},
		"sends one": {`"signal 1" has arrived 2 times in one call`, func(m *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				return errors.Join(send(ctx, signals), send(ctx, signals))
			}
		}},
		"sends a large batch": {"signal 1 of 2500, by flushmany, failed: too many; expected that all are sent", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				if len(signals) > 1000 {
					return errors.New("too many")
				}
				return send(ctx, signals)
			}
		}},
		"takes an empty batch": {"the sender panicked: runtime error: index out of range", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				_ = signals[0]
				return send(ctx, signals)
			}
		}},
		"works without a bus": {"with a context that no bus has made the sender returned no batch; expected nil", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				if _, ok := entsignal.BatchFromContext(ctx); !ok {
					return errors.New("no batch")
				}
				return send(ctx, signals)
			}
		}},
		"reports each message": {`the sender reported "signal 1" as failed, and it has arrived: it would be sent again`, func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				if err := send(ctx, signals); err != nil {
					return errors.New("some failed")
				}
				return nil
			}
		}},
		"keeps errors and their marks": {"in which errors.Is doesn't find the error of encoding it; wrap it with %w", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				if err := send(ctx, signals); err != nil {
					return errors.New(err.Error())
				}
				return nil
			}
		}},
		"keeps the order of an ordered flush": {`in a FlushOrdered the broker got "signal 200" in place 1; expected "signal 1"`, func(m *memory, _ sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				for i := len(signals) - 1; i >= 0; i-- {
					m.store(ctx, signals[i])
				}
				return nil
			}
		}},
		"stops an ordered flush at the first failure": {"expected that 1 was sent and 2, 3 and 4 were not", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				b, _ := entsignal.BatchFromContext(ctx)
				b.Mode = entsignal.ModeFlushMany
				return send(entsignal.NewBatchContext(ctx, b), signals)
			}
		}},
		"gives each row an id that stays": {`the message of "signal 1" has no id`, func(m *memory, _ sender) sender {
			return func(_ context.Context, signals []*Signal) error {
				for _, s := range signals {
					m.store(context.Background(), s)
				}
				return nil
			}
		}},
		"sends nothing when its context has ended": {"the sender reported signal 1 of 5 as sent", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error { return send(context.WithoutCancel(ctx), signals) }
		}},
		"is called by many goroutines": {"8 goroutines have called the sender: busy", func(_ *memory, send sender) sender {
			calls := 0
			var mu sync.Mutex
			return func(ctx context.Context, signals []*Signal) error {
				mu.Lock()
				calls++
				busy := calls > 3
				mu.Unlock()
				if busy {
					return errors.New("busy")
				}
				return send(ctx, signals)
			}
		}},
		"tells when all is handed over": {"without a call of entsignal.Published", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				return send(sending.WithPublished(ctx, func() {}), signals)
			}
		}},
		"says that the broker is away": {"the broker is away, and the sender reported of signal 1 of 3: down; expected an error that entsignal.Unavailable marks", func(_ *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				err := send(ctx, signals)
				if entsignal.IsUnavailable(err) {
					return errDown
				}
				return err
			}
		}},
		"returns when its context ends while the broker hangs": {"the broker has not answered, and the sender reported signal 1 of 3 as sent", func(m *memory, send sender) sender {
			return func(ctx context.Context, signals []*Signal) error {
				err := send(ctx, signals)
				if errors.Is(err, context.DeadlineExceeded) {
					return nil
				}
				return err
			}
		}},
	} {
		t.Run(check, func(t *testing.T) {
			for _, known := range senderChecks {
				if known.name == check {
					bad := under(c.bad)
					assert.Contains(t, failureOf(t, func(tb testing.TB) { known.run(tb, bad, bad.Open(tb)) }), c.want)
					return
				}
			}
			t.Fatal("no such check")
		})
	}
	assert.Len(t, senderChecks, 15, "each check has a sender that fails it")
}

func TestOutcomesAreThoseOfTheBus(t *testing.T) {
	text := failureOf(t, func(t testing.TB) { outcomes(t, &entsignal.BatchError{Errors: make([]error, 1)}, 2) })
	assert.Contains(t, text, "a BatchError with 1 errors for 2 signals")
	errs := outcomes(t, fmt.Errorf("wrapped: %w", &entsignal.BatchError{Errors: []error{nil, errDown}}), 2)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], errDown)
}

package shop_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// brokenLog is a log handler that panics.
type brokenLog struct{}

func (brokenLog) Enabled(context.Context, slog.Level) bool  { return true }
func (brokenLog) Handle(context.Context, slog.Record) error { panic("broken log") }
func (brokenLog) WithAttrs([]slog.Attr) slog.Handler        { panic("broken log") }
func (brokenLog) WithGroup(string) slog.Handler             { panic("broken log") }

// modes are the ways in which commits are sent.
var modes = map[string][]entsignal.BusOption{"sync": nil, "async": {entsignal.WithAsync(100)}}

// commitRefused commits signals that the sender refuses, and closes the bus.
func commitRefused(t *testing.T, s *shop) {
	t.Helper()
	s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { return errors.New("refused") })
	s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).ExecX(ctx(t)) })
	order(s.OrderPlaced, 2).ExecX(ctx(t))
	require.NoError(t, s.bus.Close(ctx(t)))
	s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 3).ExecX(ctx(t)) })
	assert.Equal(t, 3, s.OrderPlaced.Query().CountX(ctx(t)))
}

func TestErrorHandlerThatPanicsEndsNoCommitAndIsLogged(t *testing.T) {
	t.Parallel()
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				log := &testlog.Log{}
				s := open(t, db, append(opts[:len(opts):len(opts)],
					entsignal.WithLogger(log.Logger()),
					entsignal.WithErrorHandler(func(context.Context, error) { panic("broken handler") }))...)
				commitRefused(t, s)
				assert.Contains(t, log.String(), "refused")
				assert.Contains(t, log.String(), `msg="the error handler panicked" error="panic: broken handler"`)
				assert.Contains(t, log.String(), "broken_test.go", "its stack")
			})
		})
	}
}

func TestLogHandlerThatPanicsEndsNoCommitAndTheErrorHandlerIsTold(t *testing.T) {
	t.Parallel()
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db, append(opts[:len(opts):len(opts)], entsignal.WithLogger(slog.New(brokenLog{})))...)
				commitRefused(t, s)
				var told []string
				for _, err := range s.errors.all() {
					told = append(told, err.Error())
				}
				assert.Contains(t, told, "the log handler: panic: broken log")
				assert.Contains(t, told, "entsignal: signal OrderPlaced: 1 of 1 not sent: id 1: refused")
			})
		})
	}
}

func TestBusWhoseHandlersBothPanicWorks(t *testing.T) {
	t.Parallel()
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				s := open(t, db, append(opts[:len(opts):len(opts)],
					entsignal.WithLogger(slog.New(brokenLog{})),
					entsignal.WithErrorHandler(func(context.Context, error) { panic("broken handler") }))...)
				commitRefused(t, s)
			})
		})
	}
}

// brokenError is an error whose methods panic.
type brokenError struct{}

func (brokenError) Error() string { return "broken error" }
func (brokenError) Is(error) bool { panic("broken Is") }

func TestErrorWhoseMethodsPanicIsAnError(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { return brokenError{} })
		s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).ExecX(ctx(t)) })
		_, err := s.OrderPlaced.FlushMany(ctx(t))
		require.ErrorContains(t, err, "panic: broken Is")
		_, err = s.OrderPlaced.FlushMany(ctx(t), entsignal.Workers(2))
		require.ErrorContains(t, err, "panic: broken Is")
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	})
}

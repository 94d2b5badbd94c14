package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
)

var errOdd = errors.New("odd")

func TestEachErrorHasOneOfTheTypes(t *testing.T) {
	t.Parallel()
	for want, errs := range map[ErrorType][]error{
		Unavailable: {entsignal.Unavailable(errOdd), fmt.Errorf("wrapped: %w", entsignal.Unavailable(context.DeadlineExceeded))},
		Timeout:     {context.DeadlineExceeded, fmt.Errorf("read: %w", os.ErrDeadlineExceeded)},
		Canceled:    {context.Canceled, entsignal.ErrClosed},
		Permanent:   {entsignal.Permanent(errOdd), entsignal.Permanent(&entsignal.DecodeError{Err: errOdd})},
		Panic:       {foreign.Do(func() { panic("odd") }), fmt.Errorf("wrapped: %w", foreign.Do(func() { panic(errOdd) }))},
		NotTried:    {entsignal.ErrNotTried, fmt.Errorf("wrapped: %w", entsignal.ErrNotTried)},
		Refused:     {errOdd, &entsignal.FlushError{Err: errOdd}},
	} {
		assert.Contains(t, ErrorTypes(), want)
		for _, err := range errs {
			assert.Equal(t, want, TypeOf(err), "%v", err)
		}
	}
}

func TestFailuresAreCountedByTheErrorOfEachSignal(t *testing.T) {
	t.Parallel()
	mixed := &entsignal.BatchError{Errors: []error{nil, errOdd, entsignal.Permanent(errOdd), entsignal.ErrNotTried, errOdd}}
	for name, c := range map[string]struct {
		failed entsignal.Failed
		want   map[ErrorType]int
	}{
		"one error for all":          {entsignal.Failed{Count: 3, Err: errOdd}, map[ErrorType]int{Refused: 3}},
		"an error for each":          {entsignal.Failed{Count: 4, Err: mixed}, map[ErrorType]int{Refused: 2, Permanent: 1, NotTried: 1}},
		"a wrapped error for each":   {entsignal.Failed{Count: 4, Err: fmt.Errorf("send: %w", mixed)}, map[ErrorType]int{Refused: 2, Permanent: 1, NotTried: 1}},
		"a wrong number of errors":   {entsignal.Failed{Count: 9, Err: &entsignal.BatchError{Errors: []error{errOdd}}}, map[ErrorType]int{Refused: 9}},
		"a batch that isn't claimed": {entsignal.Failed{Err: entsignal.Unavailable(errOdd)}, map[ErrorType]int{Unavailable: 1}},
	} {
		got := make(map[ErrorType]int)
		EachFailure(c.failed, func(t ErrorType, n int) { got[t] += n })
		assert.Equal(t, c.want, got, name)
	}
}

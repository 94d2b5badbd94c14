package txn

import (
	"context"
	"errors"
	"fmt"

	"github.com/entsignal/signalbus/internal/backoff"
)

// Run calls try until it succeeds, fails for good, or was called again o.Retries
// times. try gets the number of earlier calls, and reports with its error whether
// another call may help. Run returns the last error without the mark of [Again]. If
// ctx ends between two tries, it adds ctx's error.
func Run(ctx context.Context, o Options, try func(losses int) (again bool, err error)) error {
	for n := 0; ; n++ {
		again, err := try(n)
		if err == nil || !again || n >= o.Retries {
			return unmarked(err)
		}
		pause := o.pauses().Pause(n)
		if n == 0 && errors.As(err, new(*Over)) {
			pause = 0
		}
		if !backoff.Wait(ctx, pause, nil) {
			return fmt.Errorf("%w; the transaction is not run again after: %w", context.Cause(ctx), unmarked(err))
		}
	}
}

// Over is an error of a transaction that has lost to one that is over: the first time,
// it may be run again without a pause.
type Over struct{ Err error }

func (e *Over) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *Over) Unwrap() error { return e.Err }

// Again is an error after which the transaction may be run again.
type Again struct {
	Err  error
	Mark error // what errors.Is finds besides Err
}

func (e *Again) Error() string { return e.Err.Error() }

// Unwrap returns the error and its mark.
func (e *Again) Unwrap() []error { return []error{e.Err, e.Mark} }

// unmarked returns err without its mark. An error that was wrapped afterwards stays
// as it is, because it has a text of its own.
func unmarked(err error) error {
	if again, ok := err.(*Again); ok { //nolint:errorlint // see above
		return again.Err
	}
	return err
}

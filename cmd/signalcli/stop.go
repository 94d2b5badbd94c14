package signalcli

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// doubleTime is how long a repeated first signal is ignored: a terminal sends it to the whole
// process group, and a supervisor, a shell or make may pass it on as well.
const doubleTime = 500 * time.Millisecond

// stopper listens for the signals that end a flush. The first one asks it to stop
// after the current batch, so that no message is sent whose row then stays. The
// second one ends the process.
type stopper struct {
	// stopping ends when the flush should stop.
	stopping context.Context
	// close stops listening.
	close func()
}

// listen starts to listen. The end of parent stops the flush too, because a program
// may turn signals into the end of its context.
func listen(parent context.Context, sys system, log *slog.Logger) *stopper {
	stopping, stop := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	unnotify := sys.notify(signals)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var (
			first  os.Signal // nil before the first signal
			double <-chan time.Time
		)
		for {
			select {
			case s := <-signals:
				switch {
				case first == nil:
					first, double = s, time.After(doubleTime)
					stop()
					log.Info("finishing the current batch, then stopping; a second signal exits at once", "signal", s.String())
				case double != nil && s == first: // it is the same request
				default:
					log.Warn("exiting at once; messages that were being sent may be sent again", "signal", s.String())
					sys.exit(exitInterrupted)
				}
			case <-double:
				double = nil
				log.Info("still finishing the current batch; another signal exits at once")
			case <-quit:
				return
			}
		}
	}()
	return &stopper{stopping: stopping, close: func() {
		unnotify()
		close(quit)
		<-done
		stop()
	}}
}

package rabbitmq

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eventChannel passes on what an observer gets.
type eventChannel chan entsignal.Event

func (c eventChannel) Observe(ctx context.Context, e entsignal.Event) {
	if ctx.Err() == nil {
		c <- e
	}
}

type broken struct{}

func (broken) Observe(context.Context, entsignal.Event) { panic("no") }

func TestObserverHearsWhatBecomesOfEachDelivery(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, kind string) {
		a := newAdmin(t)
		queue, dead := a.withGraveyard(kind, nil)
		a.put(queue, "good", "poison", "spoiled", "slow")
		failed, spoiled := errors.New("no"), entsignal.Permanent(errors.New("spoiled"))
		events := make(eventChannel, 100)
		running := make(chan struct{})
		c := consume(t, brokerURL(t), queue, func(ctx context.Context, d Delivery) error {
			switch d.MessageID {
			case "poison":
				return failed
			case "spoiled":
				return spoiled
			case "slow":
				close(running)
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, WithObserver(broken{}), WithObserver(events), WithMaxDeliveries(2), WithStopTimeout(time.Millisecond))
		assert.Equal(t, entsignal.Consuming{Queue: queue}, next(t, events))
		event := func(id string, deliveries int, outcome entsignal.Outcome, err error) entsignal.Handled {
			return entsignal.Handled{Queue: queue, Key: entsignal.MessageKey{Source: "shop", ID: id}, Deliveries: deliveries, Outcome: outcome, Err: err}
		}
		handled := func() entsignal.Handled {
			e := next(t, events).(entsignal.Handled)
			assert.Positive(t, e.Took)
			e.Took = 0
			return e
		}
		assert.ElementsMatch(t, []entsignal.Handled{
			event("good", 1, entsignal.OutcomeAcknowledged, nil),
			event("poison", 1, entsignal.OutcomeRequeued, failed),
			event("poison", 2, entsignal.OutcomeRejected, failed),
			event("spoiled", 1, entsignal.OutcomeRejected, spoiled),
		}, []entsignal.Handled{handled(), handled(), handled(), handled()})
		a.awaitCount(dead, 2)
		next(t, running)
		require.NoError(t, c.stop())
		assert.Equal(t, event("slow", 1, entsignal.OutcomeRequeued, context.Canceled), handled())
		assert.Empty(t, events)
		assert.Equal(t, 1, c.log.Count("an observer has panicked"))
	})
}

func TestObserverHearsOfAnInterruption(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "m")
	proxy, proxyURL := newProxy(t)
	events := make(eventChannel, 100)
	running, release := make(chan struct{}, 10), make(chan struct{})
	c := consume(t, proxyURL, queue, func(context.Context, Delivery) error {
		running <- struct{}{}
		<-release
		return nil
	}, WithObserver(events))
	assert.Equal(t, entsignal.Consuming{Queue: queue}, next(t, events))
	next(t, running)
	proxy.Cut()
	interrupted := next(t, events).(entsignal.Interrupted)
	assert.Equal(t, queue, interrupted.Queue)
	assert.ErrorContains(t, interrupted.Err, "connection lost")
	back := next(t, events).(entsignal.Consuming)
	assert.Positive(t, back.After)
	next(t, running)
	close(release)
	outcomes := []entsignal.Outcome{next(t, events).(entsignal.Handled).Outcome, next(t, events).(entsignal.Handled).Outcome}
	assert.ElementsMatch(t, []entsignal.Outcome{entsignal.OutcomeRequeued, entsignal.OutcomeAcknowledged}, outcomes,
		"the acknowledgement of the first delivery came too late")
	require.NoError(t, c.stop())

	late := consume(t, brokerURL(t), unique("missing"), func(context.Context, Delivery) error { return nil }, WithObserver(events))
	assert.ErrorContains(t, next(t, events).(entsignal.Interrupted).Err, "no queue")
	late.says("not consuming")
	assert.Equal(t, "Outcome(0)", entsignal.Outcome(0).String())
	assert.Equal(t, "rejected", entsignal.OutcomeRejected.String())
}

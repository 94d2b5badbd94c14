package rabbitmq

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	errTime = errors.New("rabbitmq: the time of the handler is over")
	errExit = errors.New("the handler has ended its goroutine")
)

// parcel is a delivery on its way through a worker.
type parcel struct {
	Delivery
	raw   *amqp.Delivery
	st    *stream
	tries int           // before this one, as far as is known
	blind bool          // it came before, and nobody knows how often
	took  time.Duration // by its handler
}

// unpack finds out how often a delivery came before.
func (r *run) unpack(st *stream, raw *amqp.Delivery) *parcel {
	p := &parcel{Delivery: newDelivery(raw, r.c.queue), raw: raw, st: st}
	counted, known := deliveryCount(p.Headers)
	was := r.memory.of(p.Key())
	p.tries = max(counted, was.failed+was.away)
	p.Deliveries = 1 + max(counted-was.away, was.failed) + deaths(p.Headers, r.c.queue)
	p.blind = p.Redelivered && !known && p.MessageID == ""
	return p
}

// handle gets one delivery through its handler and settles it.
func (r *run) handle(st *stream, raw *amqp.Delivery) {
	defer r.hand.leave()
	defer st.hand.leave()
	p := r.unpack(st, raw)
	err := errExit // runtime.Goexit in a handler: only what is deferred still runs
	defer func() { r.settle(p, err) }()
	err = r.call(p)
}

// call runs the handler and frees its slot.
func (r *run) call(p *parcel) error {
	defer func() { <-r.slots }()
	began := time.Now()
	defer func() { p.took = time.Since(began) }()
	ctx, cancel := context.WithTimeoutCause(r.work, r.cfg.handlerTimeout, errTime)
	defer cancel()
	late := time.AfterFunc(r.cfg.handlerTimeout+r.cfg.answerTimeout, func() {
		r.log.Warn("rabbitmq: a handler still runs after its time and occupies its worker", p.words()...)
	})
	defer late.Stop()
	return r.c.handle(ctx, p.Delivery)
}

// settle tells the broker, and the observers, what becomes of a message.
func (r *run) settle(p *parcel, err error) {
	switch {
	case err == nil:
		r.memory.forget(p.Key())
		r.handled(p, r.told(p, p.raw.Ack(false), entsignal.OutcomeAcknowledged), nil)
	case r.work.Err() != nil: // the end of its context is not the message's fault
		r.handled(p, r.told(p, p.raw.Nack(false, true), entsignal.OutcomeRequeued), err)
	case entsignal.IsPermanent(err):
		r.reject(p, err)
	case entsignal.IsUnavailable(err):
		r.giveBack(p, err, failure{away: 1})
	case p.Deliveries >= r.cfg.maxDeliveries:
		r.reject(p, err)
	default:
		r.giveBack(p, err, failure{failed: 1})
	}
}

// reject makes the broker move a message to the dead-letter exchange.
func (r *run) reject(p *parcel, err error) {
	r.log.Error("rabbitmq: message rejected; it goes to the dead-letter exchange, if the queue has one", p.words(err)...)
	r.memory.forget(p.Key())
	r.handled(p, r.told(p, p.raw.Nack(false, false), entsignal.OutcomeRejected), err)
}

// giveBack puts a message back into the queue after a pause. The broker would deliver
// it again at once.
func (r *run) giveBack(p *parcel, err error, f failure) {
	r.memory.add(p.Key(), f)
	r.handled(p, entsignal.OutcomeRequeued, err)
	pause := r.cfg.pause.Pause(p.tries)
	if p.blind {
		pause = r.cfg.pause.Max
	}
	r.log.Warn("rabbitmq: the handler failed; the message will be delivered again", append(p.words(err), "pause", pause)...)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.stopping:
	case <-p.st.gone:
	}
	r.told(p, p.raw.Nack(false, true), entsignal.OutcomeRequeued)
}

// told takes the error with which the broker was told an outcome, and returns the one that
// it comes to: after an error, the message comes again.
func (r *run) told(p *parcel, err error, outcome entsignal.Outcome) entsignal.Outcome {
	if err != nil {
		r.log.Info("rabbitmq: too late to settle a delivery, so the broker will repeat it", p.words(wrapBroker(err))...)
		return entsignal.OutcomeRequeued
	}
	p.st.settled.Store(true)
	return outcome
}

// words are what the log says of a delivery.
func (p *parcel) words(errs ...error) []any {
	words := []any{"app_id", p.AppID, "message_id", p.MessageID, "deliveries", p.Deliveries}
	for _, err := range errs {
		words = append(words, "error", err)
		if crash := (*foreign.PanicError)(nil); errors.As(err, &crash) {
			words = append(words, "stack", string(crash.Stack))
		}
	}
	return words
}

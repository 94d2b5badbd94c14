package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/examples/oncall/ent"
)

// broker is a pretence of one. It takes what it is sent, unless it is away, or does not
// like a message.
type broker struct{ began time.Time }

// The broker is there for a while, and then away for a while.
const (
	there = 40 * time.Second
	away  = 20 * time.Second
)

func (b *broker) reach() error {
	if time.Since(b.began)%(there+away) >= there {
		return entsignal.Unavailable(errors.New("dial tcp 10.0.0.7:5672: connect: connection refused"))
	}
	return nil
}

func (b *broker) sendOrder(_ context.Context, s *ent.OrderPlaced) error {
	if err := b.reach(); err != nil {
		return err
	}
	if s.Number%50 == 7 && s.SignalAttempts < 3 {
		return errors.New("312 NO_ROUTE: no queue is bound to the exchange \"orders\" with the routing key \"orders.new\"")
	}
	return nil
}

func (b *broker) sendInvoice(_ context.Context, s *ent.InvoiceIssued) error {
	if err := b.reach(); err != nil {
		return err
	}
	if s.Currency == "" {
		return entsignal.Permanent(errors.New("encode: the field \"currency\" is empty"))
	}
	return nil
}

func (b *broker) sendStock(_ context.Context, s *ent.StockMoved) error {
	if err := b.reach(); err != nil {
		return err
	}
	if s.Pieces == 6 && s.ID%83 == 0 && s.SignalAttempts == 0 {
		return fmt.Errorf("the warehouse has no room for %d %s", s.Pieces, s.Article)
	}
	return nil
}

package entsignal_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
)

// OrderPlaced stands for the entity that ent generates.
type OrderPlaced struct{ OrderID int }

// A function that sends one signal becomes a sender. The row of a signal whose
// error is nil is deleted, the others stay.
func ExampleEach() {
	send := entsignal.Each(func(_ context.Context, s *OrderPlaced) error {
		if s.OrderID == 2 {
			return errors.New("the address is unknown")
		}
		fmt.Println("sent order", s.OrderID)
		return nil
	})

	err := send(context.Background(), []*OrderPlaced{{1}, {2}, {3}})
	var part *entsignal.BatchError
	if errors.As(err, &part) {
		fmt.Println(part.Errors)
	}
	// Output:
	// sent order 1
	// sent order 3
	// [<nil> the address is unknown <nil>]
}

// A sender whose broker takes many messages at once returns one error for each
// signal, in their order.
func ExampleBatchError() {
	send := func(_ context.Context, signals []*OrderPlaced) error {
		errs := make([]error, len(signals)) // what the broker answers
		errs[1] = errors.New("refused")
		return &entsignal.BatchError{Errors: errs}
	}

	err := send(context.Background(), []*OrderPlaced{{1}, {2}})
	fmt.Println(err)
	// Output:
	// 1 of 2 not sent: refused
}

// A message that can never be sent is marked as permanent, so that it isn't
// tried again.
func ExamplePermanent() {
	err := fmt.Errorf("order 7: %w", entsignal.Permanent(errors.New("the customer's name is empty")))
	fmt.Println(err)
	fmt.Println("permanent:", entsignal.IsPermanent(err))
	// Output:
	// order 7: the customer's name is empty
	// permanent: true
}

// While the broker can't be reached, a flush need not try the other signals.
func ExampleUnavailable() {
	tried := 0
	send := entsignal.Each(func(context.Context, *OrderPlaced) error {
		tried++
		return entsignal.Unavailable(errors.New("connection refused"))
	})

	err := send(context.Background(), []*OrderPlaced{{1}, {2}, {3}})
	fmt.Println("tried:", tried)
	fmt.Println("unavailable:", entsignal.IsUnavailable(err))
	// Output:
	// tried: 1
	// unavailable: true
}

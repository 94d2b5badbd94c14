// Package entsignal is a signal bus for ent: an application records a message as
// an ordinary entity in the transaction that changes its data, and after the
// commit the message is sent and its row is deleted. Nothing that was committed
// is lost, and nothing that was rolled back is sent. Delivery is at least once:
// consumers must drop repeats.
//
// A schema makes an entity a signal with mixin.Signal, and tunes it with the
// annotations of this package, such as [BurstCount] and [OrderBy]. The code
// generator then gives the project a NewSignalBus, which takes a [Sender] for
// each signal and options such as [WithLogger], and returns a [Bus]. A client
// that is opened with the bus sends what its commits record:
//
//	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: send}, entsignal.WithLogger(logger))
//	client, err := ent.Open("postgres", dsn, ent.WithSignalBus(bus))
//
// What a commit could not send stays pending. [Bus.Flush], [Bus.FlushMany] and
// [Bus.FlushOrdered] send it.
//
// The package links no code generator and no AMQP client. For RabbitMQ see
// package entsignal/rabbitmq.
package entsignal

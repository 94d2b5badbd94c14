// Package entsignal is a transactional outbox for ent. An application records a
// message as an ordinary entity in the transaction that changes its data. After the
// commit the message is sent and its row is deleted. A message that was committed
// is not lost, and one that was rolled back is never sent. Delivery is at least
// once, so consumers must drop repeats.
//
// The schema makes an entity a signal with mixin.Signal, and configures it with the
// annotations of this package, such as [BurstCount] and [OrderBy]. The generated
// code contains NewSignalBus. It takes one [Sender] per signal and options such as
// [WithLogger], and returns a [Bus]. A client that is opened with the bus sends
// what its commits record:
//
//	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: send}, entsignal.WithLogger(logger))
//	client, err := ent.Open("postgres", dsn, ent.WithSignalBus(bus))
//
// Signals that a commit could not send stay pending. [Bus.Flush], [Bus.FlushMany]
// and [Bus.FlushOrdered] send them later.
//
// The package links no code generator and no AMQP client. For RabbitMQ, see package
// entsignal/rabbitmq.
package entsignal

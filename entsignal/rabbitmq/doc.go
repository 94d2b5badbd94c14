// Package rabbitmq publishes messages to RabbitMQ and reports for each one whether
// the broker has stored it. At the other end, a [Consumer] acknowledges messages after
// they were handled. Use the publisher in the sender of a signal:
//
//	pub, err := rabbitmq.NewPublisher(os.Getenv("AMQP_URL"), rabbitmq.WithAppID("shop"))
//	if err != nil {
//		return err
//	}
//	defer pub.Close(context.Background())
//
//	send := rabbitmq.Sender(pub, func(s *ent.OrderPlaced) (rabbitmq.Message, error) {
//		body, err := json.Marshal(placed{s.OrderID, s.Customer}) // json.Marshal(s) leaves out zero values
//		return rabbitmq.Message{Exchange: "orders", RoutingKey: "placed", Body: body}, err
//	})
//
// # What counts as sent
//
// A message is sent when the broker has confirmed this message and has not returned
// it as unroutable. Anything else is an error of that message only. A message that
// the broker would refuse with an error on the channel or the connection is found
// before it is published, or isolated afterwards, so that the others are sent.
//
// A confirm proves that the broker is responsible for the message: each queue that
// it was routed to has it, on disk if the queue and the message are durable. It
// doesn't prove that a consumer will get it. A queue with a length limit drops its
// oldest messages unless it is declared with x-overflow=reject-publish.
//
// # What may be repeated
//
// If the text of an error contains "may have been stored", the message may be in
// the queue: its confirm was lost with the connection, or came too late. Sending it
// again repeats it. Consumers recognize repeats by the pair of application (AppID)
// and message id (MessageID).
//
// # How errors are classified
//
//   - [entsignal.IsPermanent]: the message itself is at fault, such as a routing
//     key that is too long. It was not published. Sending it again can't help.
//   - [entsignal.IsUnavailable]: the broker can't be reached, has blocked the
//     connection, or didn't answer in time. Other messages can't be sent now
//     either.
//   - The error of the caller's context, if the context has ended. Find it with
//     [errors.Is].
//   - Any other error concerns the message and its route, such as a missing
//     exchange, an unroutable message, or a full queue that refuses it. Sending it
//     again may work later.
//
// # Topology
//
// The package declares no exchange, queue or binding. A publisher's user needs no
// configure and no read permission, only write permission on the exchanges. A
// consumer's user needs only read permission on its queue.
//
// # Timeouts
//
// An option limits every wait, even if the caller's context has no deadline. A wait
// ends earlier if the context ends. There is one exception: a write to a full
// socket ends only after [WithWriteTimeout].
package rabbitmq

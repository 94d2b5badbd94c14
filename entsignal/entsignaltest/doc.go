// Package entsignaltest helps to test programs that use a signal bus.
//
// [Senders] makes a recording sender for each signal of a project. [One], [Sent],
// [None] and [Eventually] check what was sent:
//
//	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
//	bus, err := ent.NewSignalBus(senders, outbox.Option())
//	...
//	placed := entsignaltest.One[*ent.OrderPlaced](outbox)
//
// [FailWhere], [FailNth], [Away], [Hang], [Panic] and [LoseConfirm] make these
// senders fail, and [Driver] makes the database fail. [TestSender] and
// [TestDatabase] test whether a sender or a database fulfils its contract; use them
// if you write a sender, or choose a database or driver that the library doesn't
// know.
//
// The package imports testing, so import it only from tests. It doesn't link an
// assertion library.
package entsignaltest

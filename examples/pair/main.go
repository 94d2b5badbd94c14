// Command pair is two banks that send each other money. North keeps its accounts in
// PostgreSQL, south in MariaDB; nothing but messages goes between them. Each transfer is
// applied exactly once, whatever is killed in between.
//
//	pair setup                  create the tables, the accounts and the queues
//	pair serve BANK [-every D]  be the bank north or south, and send money every D
//	pair audit                  hold the books of both banks against each other
//	pair demo                   do all this, and kill both banks again and again
//
// NORTH_DATABASE_URL names the PostgreSQL, SOUTH_DATABASE_DSN the MariaDB, and AMQP_URL
// the RabbitMQ.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = "usage: pair setup | serve BANK [-every DURATION] | audit | demo"

// run returns the exit code: 0 done, 1 failed, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	flags := flag.NewFlagSet("pair", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprintln(stderr, usage) }
	every := flags.Duration("every", 0, "send money to somebody every `DURATION`; 0: never")
	command, name := "", ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	if command == "serve" && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var err error
	switch {
	case flags.NArg() > 0:
		flags.Usage()
		return 2
	case command == "setup":
		err = setup(ctx, log)
	case command == "serve" && (name == north || name == south):
		err = serve(ctx, log, name, *every, stdout)
	case command == "audit":
		err = audit(ctx, log, stdout)
	case command == "demo":
		err = demo(ctx, log, stdout, stderr)
	default:
		flags.Usage()
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, "pair:", err)
		return 1
	}
	return 0
}

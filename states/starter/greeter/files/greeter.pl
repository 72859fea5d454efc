#!/usr/bin/perl
# The starter's web service: answers `/` with its greeting, version and instance, and `/health` with 200 or 503.
# Usage: greeter [--check] CONFIG. It needs nothing but the perl that every Debian and Ubuntu has.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my $check_only = @ARGV && $ARGV[0] eq '--check' ? shift @ARGV : 0;
my $config = read_config($ARGV[0] // '/etc/greeter/greeter.conf');
exit 0 if $check_only;

my $stop = 0;
$SIG{TERM} = $SIG{INT} = sub { $stop = 1 };
$SIG{PIPE} = 'IGNORE';
serve(listening_socket());

sub read_config {
    my ($path) = @_;
    open my $in, '<', $path or die "greeter: $path: $!\n";
    my %values;
    while (my $line = <$in>) {
        next if $line =~ /^\s*(#|$)/;
        $line =~ /^\s*(\w+)\s*=\s*(.*?)\s*$/ or die "greeter: $path:$.: not `key = value`\n";
        $values{$1} = $2;
    }
    for my $key (qw(version greeting port health)) {
        die "greeter: $path: no value for `$key`\n" unless length($values{$key} // '');
    }
    die "greeter: $path: `port` is not a port number\n" unless $values{port} =~ /^\d{1,5}$/;
    return \%values;
}

# The supervisor's socket where there is one (file descriptor 3, as systemd passes it), else our own.
sub listening_socket {
    if (($ENV{LISTEN_FDS} // 0) >= 1 && ($ENV{LISTEN_PID} // 0) == $$) {
        return IO::Socket::INET->new_from_fd(3, 'r+') || die "greeter: the socket that was handed over: $!\n";
    }
    return IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $config->{port}, Listen => 128, ReuseAddr => 1)
        || die "greeter: port $config->{port}: $!\n";
}

# One request a connection, many connections at once. After SIGTERM no more are accepted, and those in hand are
# answered; what still queues at the socket is the next process's.
sub serve {
    my ($listener) = @_;
    my $sockets = IO::Select->new($listener);
    my %heads;    # what each open connection has sent so far, and when it must be whole
    until ($stop && !%heads) {
        hurry($sockets, $listener, \%heads) if $stop;
        for my $socket ($sockets->can_read(0.2)) {
            if ($socket == $listener) { greet($sockets, \%heads, $listener->accept) }
            else                      { hear($sockets, \%heads, $socket) }
        }
        drop($sockets, \%heads, $_->{socket}) for grep { $_->{until} < time } values %heads;
    }
}

# Once asked to stop: nobody new, and a second for those that have yet to speak.
sub hurry {
    my ($sockets, $listener, $heads) = @_;
    $sockets->remove($listener) if $sockets->exists($listener);
    for my $head (values %$heads) { $head->{until} = time + 1 if $head->{until} > time + 1 }
}

sub greet {
    my ($sockets, $heads, $client) = @_;
    return unless $client;
    $sockets->add($client);
    $heads->{ fileno $client } = { socket => $client, text => '', until => time + 10 };
}

# Takes what has come; answers when the request's head is whole (16 KB at most).
sub hear {
    my ($sockets, $heads, $client) = @_;
    my $head = $heads->{ fileno $client };
    my $read = sysread $client, $head->{text}, 4096, length $head->{text};
    my $whole = $head->{text} =~ /\r?\n\r?\n/;
    return if $read && !$whole && length $head->{text} < 16_384;
    answer($client, $head->{text}) if $whole;
    drop($sockets, $heads, $client);
}

sub drop {
    my ($sockets, $heads, $client) = @_;
    $sockets->remove($client);
    delete $heads->{ fileno $client };
    close $client;
}

sub answer {
    my ($client, $head) = @_;
    my ($method, $path) = $head =~ /^(\S+) (\S+)/ or return;
    my ($status, $body) = respond($path);
    print {$client} "HTTP/1.1 $status\r\nContent-Type: text/plain\r\nContent-Length: ", length $body,
        "\r\nConnection: close\r\n\r\n", $method eq 'HEAD' ? '' : $body;
}

sub respond {
    my ($path) = @_;
    return $config->{health} eq 'ok' ? ('200 OK', "ok\n") : ('503 Service Unavailable', "health = $config->{health}\n")
        if $path eq '/health';
    return ('404 Not Found', "nothing here\n") unless $path eq '/';
    return ('200 OK', "$config->{greeting} from version $config->{version} on " . ($config->{instance} // '?') . "\n");
}

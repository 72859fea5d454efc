#!/usr/bin/perl
# The starter's worker: asks its feed every few seconds and keeps the last answer in /var/lib/worker/last.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my %config = read_config($ARGV[0] // '/etc/worker/worker.conf');
my ($host, $port, $path) = $config{feed} =~ m{^http://([^/:]+)(?::(\d+))?(/\S*)?$}
    or die "worker: `feed` is not an http:// address: $config{feed}\n";

my $stop = 0;
$SIG{TERM} = $SIG{INT} = sub { $stop = 1 };
until ($stop) {
    my $answer = fetch($host, $port // 80, $path // '/');
    if (defined $answer) { keep($answer) }
    else                 { warn "worker: $config{feed} did not answer\n" }
    select undef, undef, undef, $config{every_seconds};
}

sub read_config {
    my ($path) = @_;
    open my $in, '<', $path or die "worker: $path: $!\n";
    my %values = map { /^\s*(\w+)\s*=\s*(.*?)\s*$/ ? ($1, $2) : () } grep { !/^\s*#/ } <$in>;
    for my $key (qw(feed every_seconds)) {
        die "worker: $path: no value for `$key`\n" unless length($values{$key} // '');
    }
    return %values;
}

# The body of a 200, or nothing.
sub fetch {
    my ($host, $port, $path) = @_;
    my $peer = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 3) or return;
    print {$peer} "GET $path HTTP/1.0\r\nHost: $host\r\n\r\n";
    my ($answer, $waiting) = ('', IO::Select->new($peer));
    while (length $answer < 65_536 && $waiting->can_read(3)) {
        sysread $peer, $answer, 4096, length $answer or last;
    }
    return $answer =~ m{^HTTP/1\.\d 200 .*?\r\n\r\n(.*)}s ? $1 : undef;
}

# Replaced whole: a reader never sees half an answer.
sub keep {
    my ($answer) = @_;
    my $file = '/var/lib/worker/last';
    open my $out, '>', "$file.new" or return warn "worker: $file.new: $!\n";
    print {$out} $answer;
    close $out and rename "$file.new", $file or warn "worker: $file: $!\n";
}

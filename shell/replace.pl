# replace.pl PROJECT CAME WAS: files and links that have come in take the place of those that are
# there (shellenv/sync/aside.py), whose old versions are in WAS/r afterwards. PROJECT is a physical
# path. The paths in it are lines of stdin, each with a slash in front, and % and newline written as
# %25 and %0A. It fails if anything is still to be done.
#
# The new version goes there first. Then it trades places with whatever is in its place by now, in one
# step: what somebody has just put there is not lost, and the place is never empty. It does nothing
# where the system cannot trade.
use strict;
use warnings;
use Config;

my ($project, $came, $was) = @ARGV;
my ($cpu) = $Config{ptrsize} == 8 ? split /-/, $Config{archname} : '';
my $renameat2 = {x86_64 => 316, aarch64 => 276}->{$cpu};    # perl has no name for it
my ($at_fdcwd, $exchange) = (-100, 2);

# Is it there, and not through a link?
sub enter {
    my ($directory) = @_;
    return chdir("$project$directory") && readlink('/proc/self/cwd') eq "$project$directory";
}

sub trade {
    my ($one, $other) = @_;
    return $renameat2 && syscall($renameat2, $at_fdcwd, $one, $at_fdcwd, $other, $exchange) == 0;
}

sub replace {
    my ($new, $name, $old) = @_;
    return 0 unless rename $new, $old;
    if (trade($old, $name)) {
        return 1 unless -d $old && !-l $old;    # nothing replaces a directory
        trade($old, $name);
    }
    rename $old, $new;
    return 0;
}

my $failed = 0;
while (my $path = <STDIN>) {
    chomp $path;
    $path =~ s/%(..)/chr hex $1/ge;
    my ($directory, $name) = $path =~ m{^(.*)/(.*)\z}s;
    $failed = 1, next unless enter($directory) && -w '.';
    replace("$came$path", $name, "$was/r$path") or $failed = 1;
}
exit $failed;

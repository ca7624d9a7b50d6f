# A working day of a script written with Net::SMTP and Mail::IMAPClient, the base of imapsync and of many a hospital's
# own tools: it says what it saw, a line each. Arguments: the text in the subject, the recipient.
use strict;
use warnings;
use IO::Socket::SSL;
use Mail::IMAPClient;
use Net::SMTP;

my ( $mark, $recipient ) = @ARGV;
my @trust = ( SSL_ca_file => $ENV{CA}, SSL_verifycn_name => 'localhost' );
my $me    = $ENV{LOGIN};

sub say_ { printf "%s=%s\n", shift, join ' ', map { defined $_ ? $_ : 'undef' } @_; }

sub first_line { my $said = ( $_[0]->message )[0]; chomp $said; return $said; }

my $smtp = Net::SMTP->new( 'localhost', Port => $ENV{SUBMISSION}, Hello => 'poste.test', Timeout => 20 ) or die $@;
$smtp->starttls(@trust) or die "no TLS: $@";
say_ refused => $smtp->auth( $me, 'wrong' ) ? 'no' : 'yes', $smtp->code;
$smtp->auth( $me, $ENV{PASSWORD} ) or die $smtp->message;
say_ sender    => $smtp->mail( $me, Size => 300, Bits => '8', Return => 'HDRS', Envelope => "essai+$mark" );
say_ recipient => $smtp->recipient( $recipient, { Notify => [ 'FAILURE', 'DELAY' ], ORcpt => "rfc822;$recipient" } );
say_ outside   => scalar( my @taken = $smtp->recipient( $me, 'quelquun@ailleurs.example', { SkipBad => 1 } ) );
say_ sent      => $smtp->data( "From: $me\n", "To: $recipient\n", "Subject: $mark\n", "\n", ".\n", "..deux\n" );
say_ verify    => first_line($smtp) if $smtp->verify($recipient);
say_ expand    => scalar( () = $smtp->expand('equipe') ), $smtp->code;
say_ quit      => $smtp->quit;

for my $door ( [ Ssl => $ENV{IMAPS} ], [ Starttls => $ENV{IMAP} ] ) {
    my $imap = Mail::IMAPClient->new(
        Server => 'localhost', Port => $door->[1], $door->[0] => [@trust], User => $me, Password => $ENV{PASSWORD},
        Uid    => 1,           Peek => 1,          Timeout    => 20
    ) or die "no IMAP: $@";
    my $folder = "Scripts/$mark";
    say_ folder => $imap->create($folder) ? $folder : $imap->LastError;
    my $text = "From: $me\nTo: $recipient\nSubject: $mark\nDate: Mon, 02 Mar 2026 10:00:00 +0100\n\nbonjour\n";
    say_ dated => $imap->append_string( $folder, $text, '\\Seen $Forwarded', ' 1-Feb-2020 12:00:00 +0100' );
    say_ plain => $imap->append( $folder, $text );
    $imap->select($folder) or die $imap->LastError;
    my @all = $imap->messages;
    say_ messages => @all;
    say_ found    => $imap->search( 'SUBJECT', $mark, 'UNSEEN' );
    say_ sorted   => $imap->sort( 'REVERSE ARRIVAL', 'UTF-8', 'ALL' );
    say_ subject  => $imap->get_envelope( $all[0] )->subject, $imap->get_bodystructure( $all[0] )->bodytype;
    say_ arrived  => $imap->internaldate( $all[0] );
    say_ flags    => sort grep { $_ ne '\\Recent' } $imap->flags( $all[0] );
    say_ same     => $imap->message_string( $all[1] ) eq $text =~ s/\n/\r\n/gr ? 'yes' : 'no';
    $imap->store( $all[1], '+FLAGS.SILENT', '(Suivi)' ) or die $imap->LastError;
    say_ copied => $imap->copy( 'Trash', $all[0] ) ? 'yes' : $imap->LastError;
    say_ moved  => $imap->move( 'Trash', $all[1] ) ? 'yes' : $imap->LastError;
    $imap->expunge or die $imap->LastError;
    $imap->delete_message( $all[0] );
    $imap->expunge;
    say_ left => $imap->message_count;
    my $idle = $imap->idle or die $imap->LastError;
    say_ idle => $imap->done($idle) ? 'yes' : 'no';
    $imap->close;
    say_ renamed => $imap->rename( $folder, 'Scripts/fini' ) ? 'yes' : 'no';
    say_ gone    => $imap->delete('Scripts/fini') && $imap->delete('Scripts') ? 'yes' : $imap->LastError;
    $imap->logout;
}

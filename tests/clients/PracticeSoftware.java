// A working day of practice software written with JavaMail, as integration engines are: it says what it saw, a line each.

import com.sun.mail.imap.AppendUID;
import com.sun.mail.imap.IMAPFolder;
import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.util.Date;
import java.util.Map;
import java.util.Properties;
import javax.activation.DataHandler;
import javax.mail.*;
import javax.mail.event.MessageCountAdapter;
import javax.mail.event.MessageCountEvent;
import javax.mail.internet.*;
import javax.mail.search.*;
import javax.mail.util.ByteArrayDataSource;
import javax.net.ssl.*;

public class PracticeSoftware {
    static final Map<String, String> E = System.getenv();
    static final int DOCUMENT = 200_000;

    public static void main(String[] task) throws Exception {
        try {
            switch (task[0]) {
                case "send" -> send();
                case "read" -> read();
                case "wait" -> await_news();
                case "enter" -> enter().close();
            }
        } catch (AuthenticationFailedException refused) {
            say("refused", refused.getMessage());
        } catch (MessagingException failed) {
            say("failed", failed.getNextException());
        }
        System.exit(0);
    }

    static void say(String what, Object seen) {
        System.out.println(what + "=" + String.valueOf(seen).replaceAll("\\s+", " "));
    }

    static void send() throws Exception {
        Session session = session(E.get("SMTP_PROTOCOL"));
        MimeMessage message = document(session, E.get("SUBJECT"));
        Transport transport = session.getTransport(E.get("SMTP_PROTOCOL"));
        transport.connect("localhost", Integer.parseInt(E.get("SMTP_PORT")), E.get("LOGIN"), E.get("PASSWORD"));
        transport.sendMessage(message, message.getAllRecipients());
        transport.close();
        Store store = enter();
        IMAPFolder sent = open(store, "Sent", Folder.READ_WRITE);
        message.setFlag(Flags.Flag.SEEN, true);
        AppendUID[] kept = sent.appendUIDMessages(new Message[] {message});
        say("copy", sent.getMessageByUID(kept[0].uid).getSubject());
        store.close();
    }

    static void read() throws Exception {
        Store store = enter();
        IMAPFolder inbox = open(store, "INBOX", Folder.READ_WRITE);
        SearchTerm ours = new AndTerm(new SearchTerm[] {
            new SubjectTerm(E.get("SUBJECT")), new FlagTerm(new Flags(Flags.Flag.SEEN), false),
            new SizeTerm(ComparisonTerm.GT, DOCUMENT), new OrTerm(new BodyTerm("Bonjour"), new BodyTerm("rien"))});
        Message[] found = inbox.search(ours);
        FetchProfile wanted = new FetchProfile();
        for (FetchProfile.Item item : new FetchProfile.Item[] {
            FetchProfile.Item.ENVELOPE, FetchProfile.Item.CONTENT_INFO, FetchProfile.Item.FLAGS, UIDFolder.FetchProfileItem.UID})
            wanted.add(item);
        inbox.fetch(found, wanted);
        say("found", found.length);
        Multipart parts = (Multipart) found[0].getContent();
        say("text", parts.getBodyPart(0).getContent());
        say("name", MimeUtility.decodeText(parts.getBodyPart(1).getFileName()));
        say("octets", length(parts.getBodyPart(1).getInputStream()));
        Flags followed = new Flags(Flags.Flag.FLAGGED);
        followed.add("Suivi");
        found[0].setFlags(followed, true);
        IMAPFolder filed = (IMAPFolder) store.getFolder("Dossiers/Été");
        filed.create(Folder.HOLDS_MESSAGES);
        inbox.moveUIDMessages(found, filed);
        inbox.expunge();
        say("left", inbox.search(new SubjectTerm(E.get("SUBJECT"))).length);
        filed.open(Folder.READ_WRITE);
        Message moved = filed.getMessage(1);
        say("flags", moved.isSet(Flags.Flag.FLAGGED) && moved.getFlags().contains("Suivi"));
        moved.setFlag(Flags.Flag.DELETED, true);
        filed.close(true);
        filed.open(Folder.READ_ONLY);
        say("deleted", filed.getMessageCount());
        store.close();
    }

    static void await_news() throws Exception {
        Store store = enter();
        IMAPFolder inbox = open(store, "INBOX", Folder.READ_ONLY);
        inbox.addMessageCountListener(new MessageCountAdapter() {
            @Override public void messagesAdded(MessageCountEvent news) {
                try {
                    say("news", news.getMessages()[0].getSubject());
                } catch (MessagingException failed) {
                    say("failed", failed);
                }
            }
        });
        say("waiting", inbox.getMessageCount());
        inbox.idle(true);
        store.close();
    }

    static Store enter() throws Exception {
        Store store = session(E.get("IMAP_PROTOCOL")).getStore(E.get("IMAP_PROTOCOL"));
        store.connect("localhost", Integer.parseInt(E.get("IMAP_PORT")), E.get("LOGIN"), E.get("PASSWORD"));
        say("entered", store.getFolder("INBOX").exists());
        return store;
    }

    static IMAPFolder open(Store store, String name, int mode) throws MessagingException {
        IMAPFolder folder = (IMAPFolder) store.getFolder(name);
        folder.open(mode);
        return folder;
    }

    static MimeMessage document(Session session, String subject) throws Exception {
        MimeMessage message = new MimeMessage(session);
        message.setFrom(new InternetAddress(E.get("LOGIN"), "Cabinet d’été", "UTF-8"));
        message.setRecipients(Message.RecipientType.TO, E.get("TO"));
        message.setSubject(subject, "UTF-8");
        message.setSentDate(new Date());
        MimeBodyPart text = new MimeBodyPart();
        text.setText("Bonjour,\r\n.\r\n..à bientôt", "UTF-8");
        MimeBodyPart attached = new MimeBodyPart();
        attached.setDataHandler(new DataHandler(new ByteArrayDataSource(new byte[DOCUMENT], "application/octet-stream")));
        attached.setFileName(MimeUtility.encodeText("résumé.bin"));
        message.setContent(new MimeMultipart(text, attached));
        message.saveChanges();
        return message;
    }

    static long length(InputStream stream) throws Exception {
        return stream.transferTo(java.io.OutputStream.nullOutputStream());
    }

    static Session session(String protocol) throws Exception {
        Properties settings = new Properties();
        String ours = "mail." + protocol + ".";
        settings.put(ours + "ssl.socketFactory", sockets());
        settings.put(ours + "ssl.checkserveridentity", "true");
        settings.put(ours + "starttls.required", String.valueOf(!protocol.endsWith("s")));
        settings.put(ours + "auth", "true");
        settings.put(ours + "timeout", "30000");
        settings.put(ours + "fetchsize", "16000"); // a document takes many partial fetches
        settings.put(ours + "compress.enable", "true");
        settings.put(ours + "dsn.notify", "FAILURE,DELAY");
        settings.put(ours + "dsn.ret", "HDRS");
        if (E.containsKey("CARD")) {
            settings.put(ours + "sasl.enable", "true");
            settings.put(ours + "sasl.mechanisms", "EXTERNAL");
            settings.put(ours + "sasl.authorizationid", E.get("LOGIN"));
        }
        return Session.getInstance(settings);
    }

    static SSLSocketFactory sockets() throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(E.containsKey("TRUST") ? store(E.get("TRUST")) : null);
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(E.containsKey("CARD") ? store(E.get("CARD")) : null, E.get("STORE_PASSWORD").toCharArray());
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    static KeyStore store(String path) throws Exception {
        KeyStore found = KeyStore.getInstance("PKCS12");
        try (InputStream file = new FileInputStream(path)) {
            found.load(file, E.get("STORE_PASSWORD").toCharArray());
        }
        return found;
    }
}

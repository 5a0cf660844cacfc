import java.util.List;
import javax.smartcardio.Card;
import javax.smartcardio.CardChannel;
import javax.smartcardio.CardTerminal;
import javax.smartcardio.CardTerminals;
import javax.smartcardio.CommandAPDU;
import javax.smartcardio.ResponseAPDU;
import javax.smartcardio.TerminalFactory;

/** A javax.smartcardio client: Smartcardio READER ... Says what it sees, and when it waits for a hand. */
public final class Smartcardio {
    private static final long WAIT_MS = 15_000;

    private Smartcardio() {}

    public static void main(String[] arguments) throws Exception {
        CardTerminals terminals = TerminalFactory.getDefault().terminals();
        List<CardTerminal> present = terminals.list(CardTerminals.State.CARD_PRESENT);
        for (CardTerminal terminal : present) {
            say("present " + terminal.getName());
        }
        for (String name : arguments) {
            exchange(terminals.getTerminal(name));
        }
        CardTerminal terminal = terminals.getTerminal(arguments[0]);
        say("waitForCardPresent " + terminal.waitForCardPresent(WAIT_MS));
        say("waiting for removal");
        say("waitForCardAbsent " + terminal.waitForCardAbsent(WAIT_MS));
        say("absent again " + terminal.waitForCardAbsent(0));
        say("nothing comes " + terminal.waitForCardPresent(200));
        say("waiting for insertion");
        say("waitForCardPresent " + terminal.waitForCardPresent(WAIT_MS));
        exchange(terminal);
        say("waiting for removal");
        terminals = TerminalFactory.getInstance("PC/SC", null).terminals();
        terminals.waitForChange(WAIT_MS);
        say("waitForChange " + terminals.list(CardTerminals.State.CARD_PRESENT).size());
    }

    private static void exchange(CardTerminal terminal) throws Exception {
        Card card = terminal.connect("*");
        CardChannel channel = card.getBasicChannel();
        say(terminal.getName() + " " + card.getProtocol() + " " + hex(card.getATR().getBytes()));
        card.beginExclusive();
        ResponseAPDU challenge = channel.transmit(new CommandAPDU(0x00, 0x84, 0, 0, 8));
        ResponseAPDU echo = channel.transmit(new CommandAPDU(0x80, 0x0E, 0, 0, new byte[] {1, 2, 3}, 256));
        card.endExclusive();
        say(hex(challenge.getBytes()) + " " + hex(echo.getBytes()));
        card.disconnect(true);
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) {
            text.append(String.format("%02X", each));
        }
        return text.toString();
    }
}

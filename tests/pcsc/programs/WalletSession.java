import java.util.List;
import javax.smartcardio.Card;
import javax.smartcardio.CardChannel;
import javax.smartcardio.CardTerminal;
import javax.smartcardio.CardTerminals;
import javax.smartcardio.CommandAPDU;
import javax.smartcardio.TerminalFactory;

/** A javax.smartcardio client: WalletSession COMMAND ... Sends APDUs to the first card, says its answers. */
public final class WalletSession {
    private WalletSession() {}

    public static void main(String[] arguments) throws Exception {
        CardTerminals terminals = TerminalFactory.getDefault().terminals();
        List<CardTerminal> present = terminals.list(CardTerminals.State.CARD_PRESENT);
        Card card = present.get(0).connect("*");
        CardChannel channel = card.getBasicChannel();
        for (String command : arguments) {
            System.out.println(hex(channel.transmit(new CommandAPDU(bytes(command))).getBytes()));
        }
        card.disconnect(true);
    }

    private static byte[] bytes(String text) {
        byte[] bytes = new byte[text.length() / 2];
        for (int at = 0; at < bytes.length; at++) {
            bytes[at] = (byte) Integer.parseInt(text.substring(2 * at, 2 * at + 2), 16);
        }
        return bytes;
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) {
            text.append(String.format("%02X", each));
        }
        return text.toString();
    }
}
